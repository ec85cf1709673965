"""Rank: how well each text fits its query, scored by a cross-encoder; figures are taken a query at a time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import BadRow, Row
from engine.evaluate.calibration import fit_temperature, probabilities
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Metric, Output, arrays

CUT = 10
"""Rank down to which nDCG counts."""


@dataclass(frozen=True)
class Relevance:
    score: float
    """Logit: orders the texts of one query."""
    probability: float
    """Calibrated probability that the text fits the query."""


class RelevanceKind:
    main = "ndcg10"

    def read(self, head: HeadSpec, value: Any, column: str, text: str, pair: str | None) -> float | None:
        if value is None or value == "":
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise BadRow(f"field '{column}' is {str(value)[:60]!r}; relevance is a number from 0 to 1") from None
        if not 0 <= number <= 1:
            raise BadRow(
                f"field '{column}' is {number}; relevance is a number from 0 to 1: divide by the highest grade"
            )
        return number

    def truth(self, head: HeadSpec, rows: Sequence[Row]) -> NDArray[np.float64]:
        return np.array([row.labels[head.name] for row in rows], dtype=np.float64)

    def temperature(self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output]) -> float:
        return fit_temperature(arrays(outputs), self.truth(head, rows)[:, None], multi_label=True)

    def metrics(
        self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output], temperature: float
    ) -> dict[str, Metric]:
        truth, scores = self.truth(head, rows), arrays(outputs)[:, 0]
        queries: dict[str, list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            queries[row.text].append(number)
        ndcg, reciprocal, weight = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
        for numbers in queries.values():
            if truth[numbers].max() > 0:  # a query that no text fits says nothing of their order
                ndcg[numbers] = ndcg_at(truth[numbers], scores[numbers], CUT)
                reciprocal[numbers] = reciprocal_rank(truth[numbers], scores[numbers])
                weight[numbers] = 1 / len(numbers)  # each query counts once, however many texts it has

        def mean(values: NDArray[np.float64]) -> Metric:
            return lambda over: float(values[over] @ weight[over] / max(weight[over].sum(), 1e-12))

        return {"ndcg10": mean(ndcg), "mrr": mean(reciprocal)}

    def answer(self, head: HeadSpec, output: Output, temperature: float, text: str, pair: str | None) -> Relevance:
        probability = probabilities(output.logits, temperature, multi_label=True)
        return Relevance(float(output.logits[0]), float(probability[0]))


def ndcg_at(truth: NDArray[np.float64], scores: NDArray[np.float64], cut: int) -> float:
    """Normalised discounted cumulative gain with linear gains (Järvelin & Kekäläinen 2002); ties count against us."""
    order = sorted(range(len(truth)), key=lambda place: (-scores[place], truth[place]))
    gain = sum(truth[place] / math.log2(rank + 2) for rank, place in enumerate(order[:cut]))
    best = sum(value / math.log2(rank + 2) for rank, value in enumerate(sorted(truth, reverse=True)[:cut]))
    return float(gain / best) if best else 0.0


def reciprocal_rank(truth: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """1 / rank of the first text of the highest grade; ties count against us."""
    order = sorted(range(len(truth)), key=lambda place: (-scores[place], truth[place]))
    return 1.0 / (1 + next(rank for rank, place in enumerate(order) if truth[place] == truth.max()))
