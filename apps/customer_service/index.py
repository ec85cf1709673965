"""Index: the search caches of one state of the knowledge, FAISS for meaning and BM25 for words."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.customer_service.knowledge import Knowledge, Stored
from apps.customer_service.past import Past
from engine.text.terms import codes, terms

FLAT = 50_000
"""Chunks above which the exact index gives way to HNSW."""
ROWS = 256
"""Unit vectors that are looked at for each query vector: several may belong to one chunk."""


class Index:
    """Caches over a tenant's live vectors, made anew when the knowledge has moved on.

    Args:
        past: questions asked before, by vectors of the same embedder.

    Attributes:
        revision: state of the knowledge that it was made from.
    """

    def __init__(self, knowledge: Knowledge, past: Past) -> None:
        import bm25s
        import faiss

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it logs each build as debug, to stderr
        with knowledge.database.read() as connection:
            self.revision = knowledge.revision(connection)
            stored = knowledge.all(connection)
        self.chunks = [one.passage.chunk.id for one in stored]
        self._place = {chunk: at for at, chunk in enumerate(self.chunks)}
        self._first = np.cumsum([0, *(len(one.vectors) for one in stored)])
        self._owner = np.repeat(np.arange(len(stored)), [len(one.vectors) for one in stored])
        self._past = _Bound(past, stored)
        self._frequency: Counter[str] = Counter()
        self._codes: dict[str, list[int]] = {}
        self._dense: Any = None
        self._lexical: Any = None
        if not stored:
            return
        rows = np.concatenate([one.vectors for one in stored])
        if len(stored) <= FLAT:
            self._dense = faiss.IndexFlatIP(rows.shape[1])
        else:
            self._dense = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        self._dense.add(rows)
        whole = [f"{one.passage.title} {one.passage.chunk.heading} {one.passage.chunk.text}" for one in stored]
        texts = [terms(text) for text in whole]
        self._frequency.update(term for text in texts for term in set(text))
        for at, text in enumerate(whole):
            for code in set(codes(text)):
                self._codes.setdefault(code, []).append(at)
        if any(texts):
            self._lexical = bm25s.BM25(method="lucene")
            self._lexical.index(texts, show_progress=False)

    def dense(self, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """Cosine of a query and each chunk's nearest unit; of chunks far away, that of the last one looked at.

        Args:
            vector: the query's, shape (width,).

        Returns:
            Shape (chunks,).
        """
        if self._dense is None:
            return np.zeros(0)
        found, rows = self._dense.search(vector[None], min(ROWS, len(self._owner)))
        known = rows[0] >= 0
        scores = np.full(len(self.chunks), float(found[0][known].min(initial=1.0)))
        np.maximum.at(scores, self._owner[rows[0][known]], found[0][known])
        return scores

    def share(self, asked: set[str], held: set[str]) -> float:
        """How much of what is asked is held: the share of terms, each by its inverse document frequency; 0 to 1."""
        total = sum(map(self._rarity, asked))
        return sum(map(self._rarity, asked & held)) / total if total else 0.0

    def _rarity(self, term: str) -> float:
        return math.log1p(len(self.chunks) / (self._frequency[term] + 0.5))

    def recall(self, text: str, vector: NDArray[np.float32]) -> Recall:
        """How near each past question comes to a query. One that names a code comes near only by the same code: what
        F-14 is says nothing about F-24.

        Args:
            vector: the query's, shape (width,).
        """
        wanted, bound = set(codes(text)), self._past
        cosines = bound.vectors @ vector if len(bound.vectors) else np.zeros(0, np.float32)
        if wanted:
            for row, own in bound.codes.items():
                if not own & wanted:
                    cosines[row] = -1.0
        return Recall(cosines[: bound.answered], cosines[bound.answered :])

    def asked(self, recall: Recall, dense: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cosine of the nearest past question that a chunk answered, no less than its own; shape (chunks,).

        A chunk that nobody has asked for before stands by its own words so.

        Args:
            dense: what `dense` says of the query.
        """
        scores = dense.copy()
        np.maximum.at(scores, self._past.chunks, recall.answered)
        return scores

    def asked_of(self, chunk: str, recall: Recall, sentences: int) -> NDArray[np.float64]:
        """Cosine of the nearest past question that each sentence answered, -1 where there is none.

        Returns:
            Shape (sentences,).
        """
        scores = np.full(sentences, -1.0)
        if rows := self._past.of.get(self._place.get(chunk, -1)):
            np.maximum.at(scores, self._past.sentences[rows], recall.answered[rows])
        return scores

    def neighbours(self, recall: Recall, count: int) -> list[tuple[float, str | None]]:
        """The nearest past questions, the nearest first: cosine, and the document that answered it, None where nobody
        could."""
        cosines = np.concatenate([recall.answered, recall.unanswered])
        nearest = np.argsort(-cosines, kind="stable")[:count]
        documents = self._past.documents
        return [(float(cosines[at]), documents[at] if at < len(documents) else None) for at in nearest]

    def coded(self, wanted: set[str]) -> NDArray[np.float64]:
        """The share of some codes that each chunk has; shape (chunks,)."""
        scores = np.zeros(len(self.chunks))
        for code in wanted:
            scores[self._codes.get(code, [])] += 1 / len(wanted)
        return scores

    def cosines(self, chunk: str, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """Cosine of a query and each unit of a chunk; shape (units,), or (0,) of a chunk that is not here."""
        if (at := self._place.get(chunk)) is None:
            return np.zeros(0)
        rows = self._dense.reconstruct_n(int(self._first[at]), int(self._first[at + 1] - self._first[at]))
        return np.asarray(rows @ vector, dtype=np.float64)

    def lexical(self, text: str) -> NDArray[np.float64]:
        """BM25 of each chunk over the query's best one, 0 to 1; shape (chunks,)."""
        asked = [term for term in terms(text) if self._lexical is not None and term in self._lexical.vocab_dict]
        if not asked:
            return np.zeros(len(self.chunks))
        scores = np.asarray(self._lexical.get_scores(asked), dtype=np.float64)
        return scores / max(float(scores.max()), 1e-9)


@dataclass(frozen=True)
class Recall:
    """Cosines of a query and the past questions."""

    answered: NDArray[np.float32]
    """Shape (answered,), in the index' order."""
    unanswered: NDArray[np.float32]
    """Shape (unanswered,)."""

    def missed(self) -> float:
        """That of the nearest one that nobody could answer; -1 without any."""
        return float(self.unanswered.max(initial=-1.0))


class _Bound:
    """Past questions with the sentences of live chunks that answered them, then those that nobody could answer; what is
    bound to no live sentence is left out.

    Attributes:
        answered: how many of the rows have a sentence.
        chunks, sentences: places of chunk and sentence, shape (answered,).
        documents: whose chunk it is.
        vectors: the questions', shape (rows, width).
        codes: row -> the codes that its question names, where it names any.
        of: chunk -> its rows.
    """

    def __init__(self, past: Past, stored: Sequence[Stored]) -> None:
        wanted: dict[tuple[str, str], list[int]] = {}
        for at, one in enumerate(past.rows):
            if one.document is not None:
                wanted.setdefault((one.document, one.sentence), []).append(at)
        named = {document for document, _ in wanted}
        found: list[tuple[int, int, int]] = []
        for place, each in enumerate(stored):
            chunk = each.passage.chunk
            if chunk.document in named:
                for number, span in enumerate(chunk.sentences()):
                    rows = wanted.get((chunk.document, span.of(chunk.text)), [])
                    found += [(place, number, row) for row in rows]
        kept = [row for _, _, row in found] + [at for at, one in enumerate(past.rows) if one.document is None]
        self.vectors = np.zeros((0, 0), np.float32)
        if past.vectors is not None:
            self.vectors = past.vectors[kept].astype(np.float32)
        places = np.array(found, dtype=np.int64).reshape(-1, 3)
        self.answered = len(found)
        self.chunks, self.sentences = places[:, 0], places[:, 1]
        self.documents = [past.rows[row].document for _, _, row in found]
        self.codes = {at: own for at, row in enumerate(kept) if (own := set(codes(past.rows[row].question)))}
        self.of: dict[int, list[int]] = {}
        for row, (place, _, _) in enumerate(found):
            self.of.setdefault(place, []).append(row)
