"""Diversity: the first k chosen so that they differ from one another, within a bound on what that may cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recommender.candidates import Floats, Numbers
from apps.recommender.metrics import discount
from apps.recommender.rules import Receipt
from engine.errors import InputError

TRIES = 16
"""Steps in which the wish for diversity is lowered until its cost is within the bound."""
SINGULAR = 1e-10
"""Residual of a determinant from which an item adds nothing to those chosen."""


@dataclass(frozen=True)
class Diverse:
    """A list made diverse.

    Attributes:
        order: all rows in the new order.
        scores: of each row, that of the place it got: the scores fall along the order, and what each row gained or lost
            is in the receipts.
        used: how much of the diversity that was wished for the bound let through.
        loss: share of the discounted sum of scores (nDCG with the scores for gains) that it cost.
    """

    order: Numbers
    scores: Floats
    used: float
    loss: float
    receipts: tuple[Receipt, ...]


def mmr(scores: Floats, vectors: NDArray[np.floating], k: int, diversity: float) -> Numbers:
    """The first k by maximal marginal relevance (Carbonell & Goldstein 1998): each the greatest of
    (1 - diversity) x score - diversity x its greatest cosine to those before it.

    Args:
        scores: from 0 to 1.
        vectors: unit length, shape (rows, width).
        diversity: from 0, by score alone, to 1.
    """
    nearest = np.zeros(len(scores))
    left = np.ones(len(scores), dtype=bool)
    chosen: list[int] = []
    for number in range(min(k, len(scores))):
        worth = (1 - diversity) * scores - diversity * nearest
        row = int(np.where(left, worth, -np.inf).argmax())
        chosen.append(row)
        left[row] = False
        cosines = vectors @ vectors[row]
        nearest = cosines.astype(np.float64) if number == 0 else np.maximum(nearest, cosines)
    return np.array(chosen, dtype=np.int64)


def dpp(scores: Floats, vectors: NDArray[np.floating], k: int, diversity: float) -> Numbers:
    """The first k by greedy MAP of a determinantal point process (Chen et al. 2018, arXiv 1709.05135, alg. 1): each
    adds most to (1 - diversity) x sum of scores + diversity x log determinant of the cosines.

    What would add nothing, as a copy of what is chosen, comes behind in order of score. Arguments as of `mmr`.
    """
    count = min(k, len(scores))
    residual = np.ones(len(scores))
    factors = np.zeros((count, len(scores)))
    left = np.ones(len(scores), dtype=bool)
    chosen: list[int] = []
    for number in range(count):
        with np.errstate(divide="ignore"):
            worth = (1 - diversity) * scores + (diversity * np.log(residual) if diversity else 0.0)
        open_ = left & (residual > SINGULAR) if diversity else left
        if not open_.any():
            behind = np.argsort(-np.where(left, scores, -np.inf), kind="stable")[: count - number]
            return np.array([*chosen, *behind.tolist()], dtype=np.int64)
        row = int(np.where(open_, worth, -np.inf).argmax())
        chosen.append(row)
        left[row] = False
        if residual[row] > SINGULAR:
            known = factors[:number]
            factors[number] = (vectors @ vectors[row] - known.T @ known[:, row]) / np.sqrt(residual[row])
            residual = np.maximum(residual - np.square(factors[number]), 0.0)
    return np.array(chosen, dtype=np.int64)


METHODS: dict[str, Callable[[Floats, NDArray[np.floating], int, float], Numbers]] = {"mmr": mmr, "dpp": dpp}


def diversify(
    item_ids: Sequence[str],
    scores: Floats,
    vectors: NDArray[np.floating],
    k: int,
    *,
    diversity: float,
    max_loss: float,
    method: str = "mmr",
) -> Diverse:
    """The first k made diverse, as far as the bound lets it; the rest behind in order of score.

    Where scores are calibrated values, `max_loss` bounds what is lost of the expected nDCG.

    Args:
        scores: of any scale; they are brought to 0 to 1 within the list.
        vectors: unit length, shape (rows, width).
        max_loss: share of the discounted sum of scores of the first k, from 0 to 1.

    Raises:
        InputError: a setting is out of its range.
    """
    if method not in METHODS:
        raise InputError(f"diversity method '{method}': there are {', '.join(METHODS)}")
    for name, value in (("diversity", diversity), ("max_loss", max_loss)):
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value:g}; give a share from 0 to 1")
    by_score = np.argsort(-scores, kind="stable").astype(np.int64)
    spread = float(np.ptp(scores)) if len(scores) else 0.0
    gains = (scores - scores.min()) / spread if spread else np.zeros(len(scores))
    first, used, loss = by_score[:k], 0.0, 0.0
    for step in range(TRIES, 0, -1):
        tried = METHODS[method](gains, vectors, k, diversity * step / TRIES)
        cost = _loss(gains, tried, by_score[:k])
        if cost <= max_loss:
            first, used, loss = tried, diversity * step / TRIES, cost
            break
    order = np.concatenate([first, by_score[~np.isin(by_score, first)]])
    given = np.empty(len(scores))
    given[order] = scores[by_score]
    before = np.empty(len(scores), dtype=np.int64)
    before[by_score] = np.arange(1, len(scores) + 1)
    receipts = tuple(
        Receipt(item_ids[row], f"diversity {used:.2g}", int(before[row]), place, float(given[row] - scores[row]))
        for place, row in enumerate(order.tolist(), 1)
        if before[row] != place
    )
    return Diverse(order, given, used, loss, receipts)


def _loss(gains: Floats, order: Numbers, best: Numbers) -> float:
    weights = discount(np.arange(len(order), dtype=np.int64), len(order))
    most = float(gains[best] @ weights)
    return 1 - float(gains[order] @ weights) / most if most else 0.0
