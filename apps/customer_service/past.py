"""Past: what customers asked before, each question bound to the sentence that it was answered from.

A new question that resembles an old one finds that sentence, however differently the article puts it. The binding is
by the sentence's own words: where its document is gone or says something else now, nothing is bound any more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine import Embedder

MOST = 50_000
"""Questions that are kept, the latest ones: each is compared with every new one."""
ROWS, VECTORS = "past.jsonl", "past.npy"


@dataclass(frozen=True)
class Exchange:
    question: str
    document: str | None
    """None: nobody could answer it."""
    sentence: str


@dataclass(frozen=True)
class Past:
    rows: tuple[Exchange, ...] = ()
    vectors: NDArray[np.float16] | None = None
    """Of the questions, shape (rows, width); None without any."""

    @classmethod
    def of(cls, rows: Sequence[Exchange], embedder: Embedder) -> Past:
        kept = tuple(rows[-MOST:])
        vectors = embedder.embed([one.question for one in kept]).astype(np.float16) if kept else None
        return cls(kept, vectors)

    def save(self, folder: Path) -> None:
        if self.vectors is not None:
            lines = [json.dumps(vars(one), ensure_ascii=False) + "\n" for one in self.rows]
            (folder / ROWS).write_text("".join(lines), encoding="utf-8")
            np.save(folder / VECTORS, self.vectors)

    @classmethod
    def load(cls, folder: Path) -> Past:
        """Raises: OSError, ValueError, TypeError: the files are damaged."""
        if not (folder / ROWS).exists():
            return cls()
        lines = (folder / ROWS).read_text(encoding="utf-8").split("\n")
        rows = tuple(Exchange(**json.loads(line)) for line in lines if line)
        vectors = np.load(folder / VECTORS)
        if len(vectors) != len(rows):
            raise ValueError(f"{len(rows)} questions, {len(vectors)} vectors")
        return cls(rows, vectors)
