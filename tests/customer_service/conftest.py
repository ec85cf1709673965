"""A knowledge in a real SQLite file, with vectors of a stand-in for an encoder."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from apps.customer_service import settings, tables
from apps.customer_service.answers import Turn
from apps.customer_service.bot import Bot
from apps.customer_service.cli import app
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.models import Models
from engine import Embedder
from engine.db import Database
from engine.resources import packaged
from engine.text.terms import terms

SUPPORT = packaged() / "data" / "support"
DIALOGUES = 80
EVERY = 3
"""One dev question in so many."""


class WordVectors(Embedder):
    """Sums of a fixed vector for each term: texts with common words are near, without a model's seconds."""

    def __init__(self, name: str = "words") -> None:
        self.model = name
        self.read = 0

    def stream(self, texts: Iterable[str], *, side: str = "text") -> Iterator[NDArray[np.float32]]:
        for text in texts:
            self.read += 1
            vector = np.full(64, 1e-3, np.float32)
            for term in terms(text):
                seed = int.from_bytes(hashlib.sha256(term.encode()).digest()[:4], "big")
                vector += np.random.default_rng(seed).standard_normal(64).astype(np.float32)
            yield vector / np.linalg.norm(vector)


@pytest.fixture
def embedder() -> WordVectors:
    return WordVectors()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database.open(f"sqlite:///{tmp_path}/bot.db", name=tables.NAME, migrations=tables.MIGRATIONS)
    yield found
    found.close()


@pytest.fixture
def knowledge(database: Database) -> Knowledge:
    return Knowledge(database)


@pytest.fixture
def articles(tmp_path: Path) -> Callable[..., Path]:
    """Write articles into a folder, `name=text`; a text of None takes the file away."""

    def put(**texts: str | None) -> Path:
        folder = tmp_path / "kb"
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            file = folder / f"{name}.md"
            if text is None:
                file.unlink()
            else:
                file.write_text(text, encoding="utf-8")
        return folder

    return put


def run(*arguments: str) -> dict[str, object] | list[object]:
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def trained_bot(tmp_path_factory: pytest.TempPathFactory, toy_base: Path) -> Path:
    """A KEEL_HOME with a bot of toy models over all packaged articles."""
    home = tmp_path_factory.mktemp("bot")
    few, asked, talk = home / "dialogues.jsonl", home / "dev.jsonl", home / "small_talk.jsonl"
    lines = (SUPPORT / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    few.write_text("\n".join(lines[::5][:DIALOGUES]) + "\n", encoding="utf-8")
    lines = (SUPPORT / "queries" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    asked.write_text("\n".join(lines[::EVERY]) + "\n", encoding="utf-8")
    # Beside so few dialogues all of it would make a toy take any question for small talk.
    lines = (SUPPORT / "small_talk.jsonl").read_text(encoding="utf-8").splitlines()
    talk.write_text("\n".join(lines[::6]) + "\n", encoding="utf-8")
    # A toy's logits lie so near each other that rounding turns their order round; exports are tested elsewhere.
    (home / "recipes").mkdir()
    for recipe in (packaged() / "recipes").glob("support_*.yaml"):
        unexported = re.sub("(?m)^export: .*$", "export: {format: none}", recipe.read_text(encoding="utf-8"))
        (home / "recipes" / recipe.name).write_text(unexported, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(home))
        patch.chdir(home)
        assert run("ingest", str(SUPPORT / "articles" / "en"))["in_all"]["documents"] == 100
        made = run(
            "train", "--base", str(toy_base), "--dialogues", str(few), "--dev", str(asked), "--small-talk", str(talk)
        )
        assert made["version"] == "support-bot@1"
        assert 0 <= made["dev"]["coverage"] <= 1
    return home


@pytest.fixture
def bot(trained_bot: Path, monkeypatch: pytest.MonkeyPatch) -> Bot:
    monkeypatch.setenv("KEEL_HOME", str(trained_bot))
    return Bot(Knowledge(settings.database()), Models.load(), error_rate=0.99)


def turns(*said: str) -> tuple[Turn, ...]:
    """Turns written as "role: text"."""
    parts = [one.split(": ", 1) for one in said]
    return tuple(Turn(role, text) for role, text in parts)  # type: ignore[arg-type]
