"""Models whose labels come of the words themselves, for runs of the whole monitor that take no time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from apps.finance_monitor.run import Models
from apps.finance_monitor.stories import Vector


class Said(dict[str, Any]):
    model = backend = "words"

    def __init__(self, title: str) -> None:
        bad = "attack" in title
        super().__init__(
            sentiment=SimpleNamespace(label="negative" if bad else "neutral"),
            topics=SimpleNamespace(labels=("cyber",) if bad else ("earnings",)),
        )


class Words:
    model, version = "words", None
    spec = SimpleNamespace(languages=("en",))

    def predict(self, titles: Sequence[str]) -> list[Said]:
        return [Said(title) for title in titles]

    def stream(self, titles: Sequence[str]) -> Iterator[Vector]:
        for title in titles:
            vector = np.zeros(4096, dtype=np.float32)
            vector[zlib.crc32(title.encode()) % 4096] = 1.0
            yield vector


def models() -> Models:
    return Models(cast(Any, [Words()]), cast(Any, Words()))
