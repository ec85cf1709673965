"""`support-bot ingest` and `delete`: what they say, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from apps.customer_service import settings
from apps.customer_service.cli import app
from apps.customer_service.knowledge import Knowledge
from engine import Embedder


@pytest.fixture(autouse=True)
def toy_index(session_home: Path, tmp_path: Path, toy_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands go on with the embedder of the index."""
    monkeypatch.setenv("KEEL_HOME", str(session_home))
    monkeypatch.setenv("KEEL_DATABASE", f"sqlite:///{tmp_path}/keel.db")
    Knowledge(settings.database()).begin(Embedder(str(toy_base)).model)


def told(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return done.exit_code, done.stdout


def as_json(*arguments: str) -> Any:
    return json.loads(told(*arguments, "--json")[1])


def test_it_fails_where_all_that_was_new_is_rejected(articles: Callable[..., Path]) -> None:
    folder = str(articles(a="One.", b="---\ntitle: [\n---\nTwo."))
    assert told("ingest", folder)[0] == 0
    code, said = told("ingest", folder)
    assert code == 1
    assert "front matter" in said
    assert told("ingest", folder, "--json")[0] == 1
    articles(b="Two.")
    assert told("ingest", folder)[0] == 0
    assert told("ingest", folder)[0] == 0


def test_a_file_that_was_found_elsewhere_is_told(articles: Callable[..., Path]) -> None:
    folder = str(articles(old="---\nid: limits\n---\nThe limit is 500."))
    told("ingest", folder)
    articles(old=None, new="---\nid: limits\n---\nThe limit is 900.")
    code, said = told("ingest", folder, "--prune")
    assert code == 0
    assert "1 files are gone and were found elsewhere; the first: " in said
    assert [one["id"] for one in as_json("documents")] == ["limits"]


def test_a_deleted_article_comes_back_only_when_it_is_asked_for(articles: Callable[..., Path]) -> None:
    folder = articles(a="One.", b="Two.")
    told("ingest", str(folder))
    assert f"{folder / 'a.md'} is still there; ingest leaves out" in told("delete", "a")[1]
    assert as_json("delete", "b") == {"deleted": ["b"], "files": [str(folder / "b.md")]}
    assert (
        "2 documents stay deleted though their files are there; the first: a; --again a takes it back"
        in told("ingest", str(folder))[1]
    )
    done = as_json("ingest", str(folder), "--again", "a")
    assert (done["documents"], done["deleted"]) == (1, ["b"])
