"""Index: the search caches of one state of the knowledge, FAISS for meaning and BM25 for words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.customer_service.knowledge import Knowledge
from engine.text.terms import terms

FLAT = 50_000
"""Chunks above which the exact index gives way to HNSW."""
ROWS = 256
"""Unit vectors that are looked at for each query vector: several may belong to one chunk."""


class Index:
    """Caches over a tenant's live vectors, made anew when the knowledge has moved on.

    Attributes:
        revision: state of the knowledge that it was made from.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        import bm25s
        import faiss

        with knowledge.database.read() as connection:
            self.revision = knowledge.revision(connection)
            stored = knowledge.all(connection)
        self.chunks = [one.passage.chunk.id for one in stored]
        self._place = {chunk: at for at, chunk in enumerate(self.chunks)}
        self._first = np.cumsum([0, *(len(one.vectors) for one in stored)])
        self._owner = np.repeat(np.arange(len(stored)), [len(one.vectors) for one in stored])
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
