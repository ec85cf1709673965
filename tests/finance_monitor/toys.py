"""A labeller that is no model: the words themselves say sentiment and topic."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from apps.finance_monitor.run import Models


class Words:
    """Titles with "attack" are negative news on cyber, all others neutral on earnings."""

    model, version = "words", None
    spec = SimpleNamespace(languages=("en",))

    def predict(self, titles: Sequence[str]) -> list[Any]:
        return [_Said(title) for title in titles]

    def stream(self, titles: Sequence[str]) -> Iterator[Any]:
        for title in titles:
            vector = np.zeros(4096, dtype=np.float32)
            vector[zlib.crc32(title.encode()) % 4096] = 1.0
            yield vector


class _Said(dict[str, Any]):
    model = backend = "words"

    def __init__(self, title: str) -> None:
        bad = "attack" in title
        super().__init__(
            sentiment=SimpleNamespace(label="negative" if bad else "neutral"),
            topics=SimpleNamespace(labels=("cyber",) if bad else ("earnings",)),
        )


def models() -> Models:
    return Models([Words()], Words())  # type: ignore[list-item, arg-type]
