"""Suspects: labels that are probably wrong, by confident learning.

Each row is judged by logistic regressions that never saw it nor its likes; where they are as sure of another label as
they are on average of rows that bear that label, the given one is suspect (Northcutt, Jiang & Chuang 2021, "Confident
learning: estimating uncertainty in dataset labels", JAIR 70, arXiv 1911.00068).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
STRENGTH = 0.01
"""Inverse of the L2 penalty (scikit-learn's C) over vectors of unit spread: of .001 to .03 the one that found planted
wrong labels of Banking77 best and was near the best on Financial PhraseBank."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Suspect:
    row: int
    given: int
    suggested: int
    confidence: float
    """Probability of the suggested label."""
    doubt: float
    """Probability of the suggested label less that of the given one, -1 to 1: the order of suspicion."""


@dataclass(frozen=True)
class Suspicion:
    suspects: list[Suspect]
    """The most suspect first."""
    judged: int
    """Rows that could be judged: their label has enough rows for each fold to see it."""
    error_share: float
    """Estimated share of wrong labels among them: what lies off the diagonal of the joint of given and true labels. The
    weaker the judges, the more it overstates."""
    agreement: float
    """Share of rows whose given label is the judges' first: how far they are to be trusted."""


def find(vectors: NDArray[np.float32], labels: Sequence[int], clusters: Sequence[int]) -> Suspicion:
    """Suspect labels.

    Args:
        vectors: shape (rows, width).
        labels: a label number a row.
        clusters: rows with the same number, such as retellings of a story, are judged together, by others.
    """
    given = np.asarray(labels, dtype=np.int64)
    groups = np.asarray(clusters)
    found, counts = np.unique(given, return_counts=True)
    enough = [label for label in found[counts >= FOLDS] if len(np.unique(groups[given == label])) >= FOLDS]
    rows = np.flatnonzero(np.isin(given, enough))
    if len(enough) < 2:
        return Suspicion([], 0, 0.0, 0.0)
    place = {label: number for number, label in enumerate(enough)}
    numbers = np.array([place[label] for label in given[rows]])
    probabilities = out_of_fold(vectors[rows], numbers, groups[rows])
    suspects, share = judge(probabilities, numbers)
    named = [
        Suspect(int(rows[one.row]), int(enough[one.given]), int(enough[one.suggested]), one.confidence, one.doubt)
        for one in suspects
    ]
    return Suspicion(named, len(rows), share, float((probabilities.argmax(1) == numbers).mean()))


def judge(probabilities: Array, given: NDArray[np.int64]) -> tuple[list[Suspect], float]:
    """Suspects among rows with probabilities (rows, labels) from models that never saw them; and the error share.

    A label's threshold is its mean probability over the rows that bear it. A row counts as truly of a label when the
    probability reaches the label's threshold, of several such labels the most probable one.
    """
    labels = probabilities.shape[1]
    thresholds = np.array([probabilities[given == label, label].mean() for label in range(labels)])
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = reached.argmax(1)
    sure = reached.max(1) >= 0
    joint = np.zeros((labels, labels))
    np.add.at(joint, (given[sure], best[sure]), 1.0)
    # Calibrated so that each given label has as many rows as there are: not every row is counted above.
    rows_of = np.bincount(given, minlength=labels)
    joint *= (rows_of / np.maximum(joint.sum(1), 1.0))[:, None]
    share = 1.0 - float(np.trace(joint)) / max(1.0, float(joint.sum()))
    rows = np.flatnonzero(sure & (best != given))
    suspects = [
        Suspect(
            int(row),
            int(given[row]),
            int(best[row]),
            float(probabilities[row, best[row]]),
            float(probabilities[row, best[row]] - probabilities[row, given[row]]),
        )
        for row in rows
    ]
    return sorted(suspects, key=lambda one: -one.doubt), share


def out_of_fold(vectors: NDArray[np.float32], labels: NDArray[np.int64], clusters: NDArray[np.int64]) -> Array:
    """Probabilities, shape (rows, labels), of each row by a regression on the folds without the row's cluster."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from threadpoolctl import threadpool_limits

    features = vectors - vectors.mean(0)
    features /= features.std()
    found = np.zeros((len(labels), int(labels.max()) + 1))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(features, labels, clusters)
    for train, held in folds:
        # One thread: the matrices are small, and on a busy machine several threads took forty times as long.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = LogisticRegression(C=STRENGTH, max_iter=200).fit(features[train], labels[train])
        found[np.ix_(held, fitted.classes_)] = fitted.predict_proba(features[held])
    return found
