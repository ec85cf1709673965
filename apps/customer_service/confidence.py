"""Confidence: whether the knowledge answers a question, and the bar below which the bot says that it does not know.

A logistic regression over a few figures of the search, fitted on dev questions with and without an answer. The bar
comes from the scores of dev questions without one, each scored by a fit that has not seen it: with n of them, the
share that would be answered is held below a rate `a` by taking the smallest bar at which (answered + 1) / (n + 1) <= a.
For a new question that is exchangeable with them, the probability of an answer is then at most `a` (conformal risk
control, Angelopoulos et al. 2024, arXiv 2208.02814).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.customer_service.evidence import Evidence
from apps.customer_service.finder import Search
from engine.errors import InputError
from engine.text.terms import terms

FEATURES = (
    "logit",
    "logit_margin",
    "logit_mean",
    "sentence_cosine",
    "passage_cosine",
    "passage_margin",
    "lexical",
    "coverage",
    "length",
)
FOLDS = 10
UNREAD = -10.0
"""Logit that stands for a sentence which no cross-encoder read."""


def features(search: Search, evidence: Sequence[Evidence]) -> NDArray[np.float64]:
    """Shape (features,), in the order of FEATURES."""
    logits = sorted((one.logit for one in evidence if one.logit is not None), reverse=True) or [UNREAD]
    dense = sorted({one.passage.chunk.document: one.dense for one in reversed(search.found)}.values(), reverse=True)
    asked = set(terms(search.asked))
    best = search.found[0].passage if search.found else None
    held = set(terms(f"{best.title} {best.chunk.heading} {best.chunk.text}")) if best else set()
    return np.array(
        [
            logits[0],
            logits[0] - logits[min(4, len(logits) - 1)],
            float(np.mean(logits[:4])),
            max((one.dense for one in evidence), default=0.0),
            dense[0] if dense else 0.0,
            dense[0] - dense[min(3, len(dense) - 1)] if dense else 0.0,
            search.found[0].lexical if search.found else 0.0,
            len(asked & held) / max(len(asked), 1),
            math.log1p(len(asked)),
        ]
    )


@dataclass(frozen=True)
class Confidence:
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    unanswerable: tuple[float, ...]
    """Scores of the dev questions without an answer, each by a fit that had not seen it, in rising order."""

    def __call__(self, values: NDArray[np.float64]) -> float:
        """Probability that the question is answered by the evidence, 0 to 1."""
        standard = (values - np.array(self.mean)) / np.array(self.scale)
        return float(1 / (1 + math.exp(-float(np.clip(standard @ np.array(self.weights) + self.bias, -30, 30)))))

    def bar(self, rate: float) -> float:
        """The probability that an answer needs, if at most a share `rate` of the unanswerable may be answered.

        Raises:
            InputError: no rate, or one that so few dev questions cannot vouch for.
        """
        count = len(self.unanswerable)
        if not 0 < rate <= 1:
            raise InputError(f"error rate {rate}: give a share above 0 and up to 1, such as 0.05")
        allowed = math.floor(rate * (count + 1) + 1e-9) - 1
        if allowed < 0:
            raise InputError(
                f"error rate {rate}: {count} questions without an answer cannot vouch for less than "
                f"{1 / (count + 1):.3f}; add more to the dev file and train again"
            )
        if allowed >= count:
            return 0.0
        # Strictly above the highest score that must not be answered.
        return float(np.nextafter(self.unanswerable[count - 1 - allowed], 2.0))


def fit(values: NDArray[np.float64], answerable: NDArray[np.bool_], *, seed: int = 13) -> Confidence:
    """Learn from dev questions.

    Args:
        values: shape (questions, features).
        answerable: shape (questions,): whether the found evidence holds the answer.

    Raises:
        InputError: too few of either kind.
    """
    from sklearn.model_selection import StratifiedKFold

    if min(answerable.sum(), (~answerable).sum()) < 2 * FOLDS:
        raise InputError(
            f"{int(answerable.sum())} dev questions with an answer, {int((~answerable).sum())} without: it takes "
            f"{2 * FOLDS} of each to learn when to say nothing"
        )
    scores = np.zeros(len(values))
    for seen, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(values, answerable):
        fold = _fit(values[seen], answerable[seen], ())
        scores[unseen] = [fold(one) for one in values[unseen]]
    return _fit(values, answerable, tuple(sorted(scores[~answerable].tolist())))


def _fit(values: NDArray[np.float64], answerable: NDArray[np.bool_], unanswerable: tuple[float, ...]) -> Confidence:
    from sklearn.linear_model import LogisticRegression

    mean, scale = values.mean(0), np.maximum(values.std(0), 1e-6)
    model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000)
    model.fit((values - mean) / scale, answerable)
    return Confidence(
        tuple(mean.tolist()),
        tuple(scale.tolist()),
        tuple(model.coef_[0].tolist()),
        float(model.intercept_[0]),
        unanswerable,
    )
