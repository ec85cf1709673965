"""Finder: the passages that may answer a question: meaning and words fused, and each checked against live rows."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.customer_service.index import Index, Recall
from apps.customer_service.knowledge import Knowledge, Passage
from apps.customer_service.logistic import Logistic, Values
from apps.customer_service.past import Past
from apps.customer_service.question import Question, look
from engine.text.terms import codes

if TYPE_CHECKING:
    from engine import Embedder


Scores = NDArray[np.float64]
LAG_S = 5.0
"""Of a server, which looks every second whether the knowledge has changed."""


@dataclass(frozen=True)
class Reading:
    """A text against every chunk of the index; each score has shape (chunks,)."""

    text: str
    vector: NDArray[np.float32]
    """Shape (width,)."""
    index: Index
    recall: Recall
    dense: Scores
    """Cosine."""
    lexical: Scores
    """BM25, 0 to 1."""
    asked: Scores
    """Cosine of the nearest past question that the chunk answered."""
    coded: Scores
    """Share of the codes in the text that the chunk has."""

    def nearest(self) -> float:
        """The highest cosine with a passage or a past question."""
        return float(self.asked.max(initial=-1.0))


@dataclass(frozen=True)
class Fusion:
    """Weights of the convex combinations, as `train` learns them on the dev questions."""

    lexical: float = 0.02
    """Weight of BM25 against the cosine, both on a scale from 0 to 1 (Bruch et al. 2023, arXiv 2210.11934)."""
    past: float = 0.5
    """Weight of the cosine of past questions against that of the passages themselves."""
    rewritten: float = 0.5
    """Weight of the rewritten question against the raw one, of a turn that leans on those before it."""
    lean: Logistic | None = None
    """Probability that a turn leans on those before it, of `Finder.signs`; None: whatever looks so does."""
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
    recall: Recall
    """How near past questions come to `asked`."""


class Finder:
    """Searches one tenant's knowledge; threads may share it.

    Args:
        lag_s: seconds by which the caches may be behind the knowledge while new ones are made beside them; 0: whoever
            asks after a change waits for them.
    """

    def __init__(
        self, knowledge: Knowledge, embedder: Embedder, fusion: Fusion, past: Past | None = None, *, lag_s: float = 0.0
    ) -> None:
        self.knowledge = knowledge
        self.embedder = embedder
        self.fusion = fusion
        self.past = past or Past()
        self.lag_s = lag_s
        self._index: Index | None = None
        self._current = -math.inf
        """When the index was last known to be all that there is."""
        self._making: Future[None] | None = None
        self._lock = threading.Lock()

    def find(self, question: Question, limit: int = 10) -> Search:
        """The best passages, best first. What is not in the database at this moment is not among them."""
        readings = self.read(question)
        return self.rank(readings, limit, self.leaning(question, readings))

    def read(self, question: Question) -> list[Reading]:
        """What each passage has to do with the raw turn and, of one that looks as if it leans on others, with the
        rewritten one."""
        index = self.index()
        raw = self._reading(question.text, index)
        rewritten = question.rewritten() if question.leaning() else None
        return [raw] if rewritten is None else [raw, self._reading(rewritten, index)]

    def signs(self, question: Question, readings: list[Reading]) -> Values:
        """What tells whether a turn leans on those before it, shape (1, signs): how it reads, how near the raw and the
        rewritten turn come to anything known, and whether it is about the same as the turn before."""
        raw, rewritten = readings
        opens, points, count = look(question.text)
        before = self.embedder.embed(question.before()[:1])[0]
        return np.array([[opens, points, count, raw.nearest(), rewritten.nearest(), float(raw.vector @ before)]])

    def leaning(self, question: Question, readings: list[Reading]) -> float:
        """The probability that the rewritten turn is what is meant."""
        if len(readings) == 1:
            return 0.0
        return 1.0 if self.fusion.lean is None else float(self.fusion.lean(self.signs(question, readings))[0])

    def _reading(self, text: str, index: Index) -> Reading:
        vector = self.embedder.embed([text])[0]
        dense, recall = index.dense(vector), index.recall(text, vector)
        asked, coded = index.asked(recall, dense), index.coded(set(codes(text)))
        return Reading(text, vector, index, recall, dense, index.lexical(text), asked, coded)

    def rank(self, readings: list[Reading], limit: int = 10, leaning: float = 1.0) -> Search:
        """The best passages under the finder's weights.

        Args:
            leaning: the probability that the rewritten turn is what is meant.
        """
        index = readings[0].index
        last = readings[-1] if leaning >= 0.5 else readings[0]
        weight = leaning * self.fusion.rewritten
        weights = [1.0] if len(readings) == 1 else [1 - weight, weight]
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
        return Search(last.text, last.vector, found[:limit], index, last.recall)

    def index(self) -> Index:
        """The caches of the knowledge as it is now, or as it was at most `lag_s` ago. Either way what has gone since is
        not shown, as `rank` looks each hit up."""
        asked = time.monotonic()
        while True:
            with self._lock:
                held, making = self._index, self._making
                if held is not None and held.revision == self.knowledge.revision():
                    self._current = time.monotonic()
                    return held
                if begin := making is None:
                    making = self._making = Future()
                waits = held is None or self._current < asked - self.lag_s
            if begin and waits:
                self._make(making)
            elif begin:
                threading.Thread(target=self._make, args=(making,), name="index").start()
            if held is not None and not waits:
                return held
            making.result()

    def _make(self, making: Future[None]) -> None:
        begun = time.monotonic()
        try:
            made = Index(self.knowledge, self.past)
        except BaseException as fault:
            with self._lock:
                self._making = None  # whoever asks next tries again
            making.set_exception(fault)
            return
        with self._lock:
            self._index, self._current, self._making = made, begun, None
        making.set_result(None)
