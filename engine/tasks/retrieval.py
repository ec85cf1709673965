"""Retrieval: a text's vector, and how surely it finds the vector of the text that belongs to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import Row
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Metric, Output, arrays

CUT = 10
CHUNK = 256
"""Queries whose cosines with all candidates are held at once."""


@dataclass(frozen=True)
class Embedded:
    vector: tuple[float, ...]
    """Of length 1."""
    likeness: float | None = None
    """Cosine with the vector of the second text, where two were given."""


class Vector:
    """Outputs are a text's vector, shape (width,), or those of a text and its partner, shape (2, width)."""

    main = "ndcg10"

    def read(self, head: HeadSpec, value: Any, column: str, text: str, pair: str | None) -> bool:
        return True  # that the two stand in one row says that they belong together

    def temperature(self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output]) -> float:
        return 1.0

    def metrics(
        self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output], temperature: float
    ) -> dict[str, Metric]:
        vectors = arrays(outputs)
        asked = Counter(row.text for row in rows)
        weight = np.array([1 / asked[row.text] for row in rows])  # a text with several partners is one query

        def mean(values: NDArray[np.float64]) -> Metric:
            return lambda over: float(values[over] @ weight[over] / weight[over].sum())

        found = {name: mean(values) for name, values in scores(rows, vectors).items()}
        for width in head.widths:
            cut = scores(rows, vectors[..., :width])
            found |= {f"{name}_width_{width}": mean(values) for name, values in cut.items()}
        return found

    def answer(self, head: HeadSpec, output: Output, temperature: float, text: str, pair: str | None) -> Embedded:
        both = unit(np.atleast_2d(output.logits))
        return Embedded(tuple(both[0].tolist()), float(both[0] @ both[1]) if len(both) > 1 else None)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vectors at length 1."""
    found: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(min=1e-12)
    return found


def scores(rows: Sequence[Row], vectors: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """How well each row's text finds its partners among the partners of all rows: ndcg10, mrr, recall1, recall10.

    Gains are 1 for a partner (Järvelin & Kekäläinen 2002); ties count against us.

    Args:
        vectors: of each row's text and partner, shape (rows, 2, width).
    """
    names = ("ndcg10", "mrr", "recall1", "recall10")
    table = np.zeros((len(names), len(rows)))
    discount = 1 / np.log2(np.arange(CUT) + 2)
    for numbers, ranks in _ranks(rows, vectors):
        within = ranks[ranks < CUT]
        ndcg = discount[within].sum() / discount[: len(ranks)].sum()
        values = (ndcg, 1 / (1 + ranks[0]), (ranks < 1).mean(), len(within) / len(ranks))
        table[:, numbers] = np.array(values)[:, None]
    return dict(zip(names, table, strict=True))


def _ranks(rows: Sequence[Row], vectors: NDArray[np.float64]) -> Iterator[tuple[list[int], NDArray[np.intp]]]:
    """For each distinct text its rows' numbers, and its partners' ranks from 0, best first."""
    candidates: dict[str, int] = {}
    queries: dict[str, list[int]] = {}
    first = []
    for number, row in enumerate(rows):
        queries.setdefault(row.text, []).append(number)
        if row.pair not in candidates:
            candidates[str(row.pair)] = len(candidates)
            first.append(number)
    found = unit(vectors[first, 1])
    texts = list(queries)
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        asking = unit(vectors[[queries[text][0] for text in chunk], 0])
        # Rounded, so that equal vectors tie whatever the order of the sums.
        for text, cosines in zip(chunk, np.round(asking @ found.T, 9), strict=True):
            partners = list({candidates[str(rows[number].pair)] for number in queries[text]})
            others = np.ones(len(cosines), dtype=bool)
            others[partners] = False
            if text in candidates:  # a text that finds itself has found nothing
                others[candidates[text]] = False
            own = -np.sort(-cosines[partners])
            ahead = (cosines[others][None, :] >= own[:, None]).sum(1)
            yield queries[text], ahead + np.arange(len(own))
