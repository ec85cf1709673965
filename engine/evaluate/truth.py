"""Truth: a head's labels as arrays, and the metrics that fit the head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.evaluate import metrics as measures
from engine.tasks.heads import HeadSpec

Metric = Callable[[NDArray[np.intp]], float]


def of_head(head: HeadSpec, labels: Sequence[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Row numbers that answer the head, and their truth: label numbers (rows,) or 0/1 (rows, labels)."""
    rows = np.array([number for number, label in enumerate(labels) if label is not None], dtype=np.intp)
    if not head.multi_label:
        return rows, np.array([head.labels.index(labels[row]) for row in rows], dtype=np.int64)
    truth = np.zeros((len(rows), len(head.labels)))
    for place, row in enumerate(rows):
        for label in labels[row]:
            truth[place, head.labels.index(label)] = 1.0
    return rows, truth


def metrics(head: HeadSpec, truth: NDArray[Any], probabilities: NDArray[np.float64]) -> dict[str, Metric]:
    """Metrics of the head's kind, as functions of row numbers."""
    measure = measures.multi_label if head.multi_label else measures.single_label
    return measure(truth, probabilities)
