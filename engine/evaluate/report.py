"""Figures of a model on rows it never saw: each head's metrics with intervals, and its calibration error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.sources import Row
from engine.evaluate import truth
from engine.evaluate.calibration import head_ece, probabilities
from engine.evaluate.intervals import bootstrap
from engine.tasks.heads import HeadSpec

Logits = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Figure:
    value: float
    low: float
    high: float
    """95% bootstrap interval over the test rows."""


@dataclass(frozen=True)
class Figures:
    """Head -> metric -> figure. `ece_before` and `ece` are the calibration errors before and after scaling."""

    heads: dict[str, dict[str, Figure]]
    rows: int

    def as_dict(self) -> dict[str, Any]:
        heads = {head: {name: vars(figure) for name, figure in found.items()} for head, found in self.heads.items()}
        return {"rows": self.rows, "heads": heads}


def measure(
    heads: Sequence[HeadSpec],
    rows: Sequence[Row],
    logits: Sequence[Logits],
    temperatures: Sequence[Mapping[str, float]],
) -> Figures:
    """Figures of one model, or the means over several models (one a seed) on the same rows.

    Args:
        logits: a model -> head -> (rows, labels).
        temperatures: a model -> head -> temperature.
    """
    found: dict[str, dict[str, Figure]] = {}
    for head in heads:
        numbers, labels = truth.of_head(head, [row.labels.get(head.name) for row in rows])
        if not len(numbers):
            continue
        clusters = [rows[number].group or f"row {number}" for number in numbers]
        raw = [of[head.name][numbers] for of in logits]
        before = [probabilities(values, 1.0, multi_label=head.multi_label) for values in raw]
        after = [
            probabilities(values, scale[head.name], multi_label=head.multi_label)
            for values, scale in zip(raw, temperatures, strict=True)
        ]
        each = [truth.metrics(head, labels, values) for values in after]
        metrics = {name: _mean([metric[name] for metric in each]) for name in each[0]}
        metrics["ece_before"] = _mean([_calibration_error(head, labels, values) for values in before])
        metrics["ece"] = _mean([_calibration_error(head, labels, values) for values in after])
        found[head.name] = {name: Figure(*bootstrap(metric, clusters)) for name, metric in metrics.items()}
    return Figures(found, len(rows))


def _mean(metrics: Sequence[truth.Metric]) -> truth.Metric:
    return lambda over: float(np.mean([metric(over) for metric in metrics]))


def _calibration_error(head: HeadSpec, labels: NDArray[Any], values: NDArray[np.float64]) -> truth.Metric:
    return lambda over: head_ece(values[over], labels[over], multi_label=head.multi_label)
