"""Finder: the passages that may answer a question: meaning and words fused, and each checked against live rows."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.customer_service.index import Index
from apps.customer_service.knowledge import Knowledge, Passage
from apps.customer_service.past import Past
from apps.customer_service.question import Question
from engine.text.terms import codes

if TYPE_CHECKING:
    from engine import Embedder


Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """A text against every chunk of the index; each score has shape (chunks,)."""

    text: str
    vector: NDArray[np.float32]
    """Shape (width,)."""
    index: Index
    dense: Scores
    """Cosine."""
    lexical: Scores
    """BM25, 0 to 1."""
    asked: Scores
    """Cosine of the nearest past question that the chunk answered."""
    coded: Scores
    """Share of the codes in the text that the chunk has."""


@dataclass(frozen=True)
class Fusion:
    """Weights of the convex combinations, as `train` learns them on the dev questions."""

    lexical: float = 0.02
    """Weight of BM25 against the cosine, both on a scale from 0 to 1 (Bruch et al. 2023, arXiv 2210.11934)."""
    past: float = 0.5
    """Weight of the cosine of past questions against that of the passages themselves."""
    rewritten: float = 0.5
    """Weight of the rewritten question against the raw one, of a turn that leans on those before it."""
    codes: float = 0.2
    """What having all the codes of a question adds to a passage's score: a code is asked for by name."""

    def __call__(self, one: Reading) -> Scores:
        meant = (1 - self.past) * one.dense + self.past * one.asked
        return (1 - self.lexical) * (meant + 1) / 2 + self.lexical * one.lexical + self.codes * one.coded


@dataclass(frozen=True)
class Found:
    passage: Passage
    score: float
    """Fused; orders the passages of one question."""
    dense: float
    lexical: float
    asked: float
    """Cosine of the nearest past question that it answered."""


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

    def __init__(self, knowledge: Knowledge, embedder: Embedder, fusion: Fusion, past: Past | None = None) -> None:
        self.knowledge = knowledge
        self.embedder = embedder
        self.fusion = fusion
        self.past = past or Past()
        self._index: Index | None = None
        self._lock = threading.Lock()

    def find(self, question: Question, limit: int = 10) -> Search:
        """The best passages, best first. What is not in the database at this moment is not among them."""
        return self.rank(self.read(question), limit)

    def read(self, question: Question) -> list[Reading]:
        """What each passage has to do with the raw turn and, of one that leans on others, with the rewritten one."""
        texts = [question.text]
        if question.leaning() and (rewritten := question.rewritten()):
            texts.append(rewritten)
        index = self.index()
        found = []
        for text, vector in zip(texts, self.embedder.embed(texts), strict=True):
            dense = index.dense(vector)
            asked, coded = index.asked(vector, dense), index.coded(set(codes(text)))
            found.append(Reading(text, vector, index, dense, index.lexical(text), asked, coded))
        return found

    def rank(self, readings: list[Reading], limit: int = 10) -> Search:
        """The best passages under the finder's weights."""
        last, index = readings[-1], readings[0].index
        weights = [1.0] if len(readings) == 1 else [1 - self.fusion.rewritten, self.fusion.rewritten]
        score = np.sum([weight * self.fusion(one) for weight, one in zip(weights, readings, strict=True)], axis=0)
        dense, lexical, asked = (
            np.max([getattr(one, part) for one in readings], axis=0) for part in ("dense", "lexical", "asked")
        )
        order = np.argsort(-score, kind="stable")[: 2 * limit + 20]
        with self.knowledge.database.read() as connection:
            live = self.knowledge.live(connection, [index.chunks[at] for at in order])
        found = [
            Found(live[chunk], float(score[at]), float(dense[at]), float(lexical[at]), float(asked[at]))
            for at in order
            if (chunk := index.chunks[at]) in live
        ]
        return Search(last.text, last.vector, found[:limit], index)

    def index(self) -> Index:
        """The caches, made anew where the knowledge has changed since."""
        with self._lock:
            if self._index is None or self._index.revision != self.knowledge.revision():
                self._index = Index(self.knowledge, self.past)
            return self._index
