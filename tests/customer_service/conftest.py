"""A knowledge in a real SQLite file, with vectors of a stand-in for an encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from apps.customer_service import tables
from apps.customer_service.answers import Turn
from apps.customer_service.knowledge import Knowledge
from engine import Embedder
from engine.db import Database
from engine.text.terms import terms


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


def turns(*said: str) -> tuple[Turn, ...]:
    """Turns written as "role: text"."""
    parts = [one.split(": ", 1) for one in said]
    return tuple(Turn(role, text) for role, text in parts)  # type: ignore[arg-type]
