"""Figures of a model on rows it never saw: each head's metrics with intervals, and its calibration error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.data.rows import Row
from engine.evaluate.details import Details, details
from engine.evaluate.intervals import bootstrap
from engine.tasks import kinds
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Metric, Output

Outputs = Mapping[str, Sequence[Output]]
"""Head -> what the model says of each row."""


@dataclass(frozen=True)
class Figure:
    value: float
    low: float
    high: float
    """95% bootstrap interval over the test rows."""


@dataclass(frozen=True)
class Figures:
    """Head -> metric -> figure, the main one first. `ece_before` and `ece` are the calibration errors before and after
    scaling."""

    heads: dict[str, dict[str, Figure]]
    rows: int
    details: Mapping[str, Details] = field(default_factory=dict)
    """Head -> what lies behind its figures."""

    def as_dict(self) -> dict[str, Any]:
        heads = {head: {name: vars(figure) for name, figure in found.items()} for head, found in self.heads.items()}
        return {"rows": self.rows, "heads": heads}


def measure(
    heads: Sequence[HeadSpec],
    rows: Sequence[Row],
    outputs: Sequence[Outputs],
    temperatures: Sequence[Mapping[str, float]],
) -> Figures:
    """Figures of one model, or the means over several models (one a seed) on the same rows.

    Args:
        outputs: a model -> head -> what it says of each row.
        temperatures: a model -> head -> temperature.
    """
    found: dict[str, dict[str, Figure]] = {}
    behind: dict[str, Details] = {}
    for head in heads:
        numbers = kinds.answered(head, rows)
        if not len(numbers):
            continue
        chosen = [rows[number] for number in numbers]
        clusters = [row.group or f"row {number}" for number, row in zip(numbers, chosen, strict=True)]
        said = [[of[head.name][number] for number in numbers] for of in outputs]
        kind = kinds.of(head.kind)
        after = [kind.metrics(head, chosen, one, by[head.name]) for one, by in zip(said, temperatures, strict=True)]
        metrics = {name: _mean([each[name] for each in after]) for name in after[0]}
        if "ece" in metrics:
            before = [kind.metrics(head, chosen, one, 1.0)["ece"] for one in said]
            metrics["ece_before"] = _mean(before)
        found[head.name] = {name: Figure(*bootstrap(metric, clusters)) for name, metric in metrics.items()}
        scales = [by[head.name] for by in temperatures]
        behind[head.name] = details(head, chosen, said, scales, metrics[kind.main], clusters)
    return Figures(found, len(rows), behind)


def main_score(heads: Sequence[HeadSpec], rows: Sequence[Row], outputs: Outputs) -> float:
    """Mean of the heads' main figures over the rows that answer them: what dev raises."""
    found = []
    for head in heads:
        numbers = kinds.answered(head, rows)
        if len(numbers):
            kind = kinds.of(head.kind)
            said = [outputs[head.name][number] for number in numbers]
            metrics = kind.metrics(head, [rows[number] for number in numbers], said, 1.0)
            found.append(metrics[kind.main](np.arange(len(numbers))))
    return float(np.mean(found)) if found else 0.0


def _mean(metrics: Sequence[Metric]) -> Metric:
    return lambda over: float(np.mean([metric(over) for metric in metrics]))
