"""Index: the search caches of one state of the knowledge, FAISS for meaning and BM25 for words."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
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
        texts = [terms(f"{one.passage.title} {one.passage.chunk.heading} {one.passage.chunk.text}") for one in stored]
        self._frequency.update(term for text in texts for term in set(text))
        for at, one in enumerate(stored):
            for code in set(codes(f"{one.passage.title} {one.passage.chunk.heading} {one.passage.chunk.text}")):
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

    def asked(self, vector: NDArray[np.float32], dense: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cosine of a query and the nearest past question that a chunk answered, no less than its own.

        A chunk that nobody has asked for before stands by its own words so.

        Args:
            vector: the query's, shape (width,).
            dense: what `dense` says of it.

        Returns:
            Shape (chunks,).
        """
        scores = dense.copy()
        if len(self._past.answered):
            np.maximum.at(scores, self._past.chunks, self._past.answered @ vector)
        return scores

    def asked_of(self, chunk: str, vector: NDArray[np.float32], sentences: int) -> NDArray[np.float64]:
        """Cosine of a query and the nearest past question that each sentence answered, -1 where there is none; shape
        (sentences,)."""
        scores = np.full(sentences, -1.0)
        if rows := self._past.of.get(self._place.get(chunk, -1)):
            np.maximum.at(scores, self._past.sentences[rows], self._past.answered[rows] @ vector)
        return scores

    def unanswered(self, vector: NDArray[np.float32]) -> float:
        """Cosine of a query and the nearest past question that nobody could answer; -1 without any."""
        return float((self._past.unanswered @ vector).max()) if len(self._past.unanswered) else -1.0

    def neighbours(self, vector: NDArray[np.float32], count: int) -> list[tuple[float, str | None]]:
        """The nearest past questions, the nearest first: cosine, and the document that answered it, None where nobody
        could."""
        bound = self._past
        parts = [bound.answered @ vector if len(bound.answered) else np.zeros(0, np.float32)]
        parts.append(bound.unanswered @ vector if len(bound.unanswered) else np.zeros(0, np.float32))
        cosines = np.concatenate(parts)
        nearest = np.argsort(-cosines, kind="stable")[:count]
        return [(float(cosines[at]), bound.documents[at] if at < len(parts[0]) else None) for at in nearest]

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


class _Bound:
    """Past questions with the sentences of live chunks that answered them; what is bound to no live one is left out.

    Attributes:
        chunks, sentences: places of chunk and sentence, shape (rows,).
        answered: the questions' vectors, shape (rows, width).
        documents: whose chunk it is, of each row.
        of: chunk -> its rows.
        unanswered: vectors of the questions that nobody could answer, shape (others, width).
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
        vectors = np.zeros((0, 0), np.float32) if past.vectors is None else past.vectors.astype(np.float32)
        places = np.array(found, dtype=np.int64).reshape(-1, 3)
        self.chunks, self.sentences = places[:, 0], places[:, 1]
        self.answered = vectors[places[:, 2]]
        self.documents = [past.rows[row].document for row in places[:, 2]]
        self.of: dict[int, list[int]] = {}
        for row, (place, _, _) in enumerate(found):
            self.of.setdefault(place, []).append(row)
        self.unanswered = vectors[[at for at, one in enumerate(past.rows) if one.document is None]]
