"""Finder: the passages that may answer a question: meaning and words fused, and each checked against live rows."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.customer_service.index import Index
from apps.customer_service.knowledge import Knowledge, Passage
from apps.customer_service.question import Question

if TYPE_CHECKING:
    from engine import Embedder


Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Fusion:
    """Weights of the convex combinations, as `train` learns them on the dev questions."""

    lexical: float = 0.05
    """Weight of BM25 against the cosine, both on a scale from 0 to 1 (Bruch et al. 2023, arXiv 2210.11934)."""
    rewritten: float = 0.5
    """Weight of the rewritten question against the raw one, of a turn that leans on those before it."""

    def __call__(self, dense: Scores, lexical: Scores) -> Scores:
        return (1 - self.lexical) * (dense + 1) / 2 + self.lexical * lexical


@dataclass(frozen=True)
class Found:
    passage: Passage
    score: float
    """Fused; orders the passages of one question."""
    dense: float
    lexical: float


@dataclass(frozen=True)
class Search:
    """What came of one question."""

    asked: str
    """The question as it was understood: rewritten, of a turn that leans on those before it."""
    vector: NDArray[np.float32]
    """Of `asked`, shape (width,)."""
    found: list[Found]
    """Best first."""
    index: Index
    """The caches that were searched."""


class Finder:
    """Searches one tenant's knowledge; threads may share it."""

    def __init__(self, knowledge: Knowledge, embedder: Embedder, fusion: Fusion) -> None:
        self.knowledge = knowledge
        self.embedder = embedder
        self.fusion = fusion
        self._index: Index | None = None
        self._lock = threading.Lock()

    def find(self, question: Question, limit: int = 10) -> Search:
        """The best passages, best first. What is not in the database at this moment is not among them."""
        views = [(question.text, 1.0)]
        if question.leaning() and (rewritten := question.rewritten()):
            views = [(question.text, 1 - self.fusion.rewritten), (rewritten, self.fusion.rewritten)]
        vectors = self.embedder.embed([text for text, _ in views])
        index = self.index()
        parts = [(index.dense(vector), index.lexical(text)) for (text, _), vector in zip(views, vectors, strict=True)]
        weights = [weight for _, weight in views]
        score = np.sum([weight * self.fusion(*part) for weight, part in zip(weights, parts, strict=True)], axis=0)
        dense, lexical = (np.max([part[at] for part in parts], axis=0) for at in (0, 1))
        order = np.argsort(-score, kind="stable")[: 2 * limit + 20]
        with self.knowledge.database.read() as connection:
            live = self.knowledge.live(connection, [index.chunks[at] for at in order])
        found = [
            Found(live[chunk], float(score[at]), float(dense[at]), float(lexical[at]))
            for at in order
            if (chunk := index.chunks[at]) in live
        ]
        return Search(views[-1][0], vectors[-1], found[:limit], index)

    def index(self) -> Index:
        """The caches, made anew where the knowledge has changed since."""
        with self._lock:
            if self._index is None or self._index.revision != self.knowledge.revision():
                self._index = Index(self.knowledge)
            return self._index
