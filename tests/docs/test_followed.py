"""`make docs-test`: a reader who gives every command of the documents, in order, comes through."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from apps.recommender.ranker import Recommender
from engine import Store
from tests.docs import past
from tests.docs.reader import DOCS, follow
from tests.recommender.conftest import recommender, shop, shop_settings, training  # noqa: F401

pytestmark = pytest.mark.docs
NEWS = ("finance-news", "finance-company")
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.glob("how-to/*.md") if page.stem != "retrain")
MADE = Path(os.environ.get("KEEL_HOME", "")) / "models"
"""Where `make demo` has left its models."""


@dataclass(frozen=True)
class Followed:
    folder: Path
    home: Path
    told: str


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """Where a reader of the tutorial is at its end."""
    folder, home = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("home")
    return Followed(folder, home, follow(DOCS / "tutorial.md", folder, home))


def test_every_command_of_the_tutorial_works(tutorial: Followed) -> None:
    answers = [json.loads(line) for line in tutorial.told.splitlines() if line.startswith('{"text"')]
    assert answers
    assert {answer["model"] for answer in answers} >= {"workshop@1", "workshop@2"}


def test_every_command_of_retrain_works(
    tutorial: Followed,
    recommender: Recommender,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEEL_HOME", str(tutorial.home))
    past.votes("workshop@1")
    past.intents("workshop@1")
    past.clicks(recommender, tutorial.folder)
    told = follow(DOCS / "how-to" / "retrain.md", tutorial.folder, tutorial.home)
    assert "6 rows in to-label.csv" in told
    assert "2 labelled" in told
    assert "support-intents@1 is not retrained: 0 of 200 new rows" in told
    assert "recommender@2" in told
    assert "Fairness of workshop@1" in told
    assert "workshop@1: no drift." in told
    assert str(Store().get("workshop")) == "workshop@1"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_works(page: str, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "clone"
    folder.mkdir()
    if page.endswith("finance-monitor.md"):
        for name in NEWS:  # six minutes' training, if the demo has not done it
            if (MADE / name).is_dir():
                shutil.copytree(MADE / name, home / "models" / name)
    follow(DOCS / page, folder, home)
