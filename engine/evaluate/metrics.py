"""Metrics of one head: accuracy and F1 for single labels, micro and macro F1 for multi-label heads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
THRESHOLD = 0.5
"""Probability from which a label of a multi-label head is given."""


def f1_per_label(truth: Labels, answer: Labels, labels: int) -> Array:
    """F1 of each label, shape (labels,); both arguments are label numbers, shape (rows,). 0 for a label never seen."""
    hits = np.bincount(truth[truth == answer], minlength=labels)
    total = np.bincount(truth, minlength=labels) + np.bincount(answer, minlength=labels)
    return np.asarray(np.divide(2.0 * hits, total, out=np.zeros(labels), where=total > 0))


def single_label(truth: Labels, probabilities: Array) -> dict[str, Callable[[NDArray[np.intp]], float]]:
    """Metrics of a single-label head, each a function of the row numbers it is computed over.

    Args:
        truth: label numbers, shape (rows,).
        probabilities: shape (rows, labels).
    """
    labels = probabilities.shape[1]
    answer = probabilities.argmax(1).astype(np.int64)

    def macro_f1(rows: NDArray[np.intp]) -> float:
        seen = np.bincount(truth[rows], minlength=labels) + np.bincount(answer[rows], minlength=labels) > 0
        return float(f1_per_label(truth[rows], answer[rows], labels)[seen].mean())

    return {"macro_f1": macro_f1, "accuracy": lambda rows: float((truth[rows] == answer[rows]).mean())}


def multi_label(truth: Array, probabilities: Array) -> dict[str, Callable[[NDArray[np.intp]], float]]:
    """Metrics of a multi-label head: F1 over all decisions (micro) and the mean over labels seen (macro).

    Args:
        truth: 0 or 1, shape (rows, labels).
        probabilities: shape (rows, labels).
    """
    given = probabilities >= THRESHOLD
    actual = truth > 0.5

    def micro_f1(rows: NDArray[np.intp]) -> float:
        both = (given[rows] & actual[rows]).sum()
        return float(2 * both / max(1, given[rows].sum() + actual[rows].sum()))

    def macro_f1(rows: NDArray[np.intp]) -> float:
        both = (given[rows] & actual[rows]).sum(0)
        total = given[rows].sum(0) + actual[rows].sum(0)
        return float((2 * both[total > 0] / total[total > 0]).mean()) if (total > 0).any() else 0.0

    return {"macro_f1": macro_f1, "micro_f1": micro_f1}
