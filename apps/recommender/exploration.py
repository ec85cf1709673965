"""Exploration: lists drawn with known propensities, so that other ways of ranking can be judged from them later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recommender.candidates import Floats, Numbers
from engine.errors import InputError


@dataclass(frozen=True)
class Drawn:
    """A list as drawn.

    Attributes:
        order: rows in the order to be shown.
        propensities: of each place's choice given those above it; their product is the list's. 1 at pinned places.
    """

    order: Numbers
    propensities: Floats


def plackett_luce(
    scores: Floats, k: int, *, temperature: float, seed: int | Sequence[int], pinned: Sequence[int] = ()
) -> Drawn:
    """The first k, one after the other, each by softmax of scores / temperature among those left (Plackett 1975).

    Sorting by score / temperature plus Gumbel noise draws from the same law (Yellott 1977), in one go.

    Args:
        temperature: 0: by score, every propensity 1.
        seed: the same seed draws the same list; give one a request, as (seed, request number).
        pinned: places, from 0, whose row stays the one that its score puts there.

    Raises:
        InputError: the temperature is below 0 or no number.
    """
    check(temperature)
    by_score = np.argsort(-scores, kind="stable").astype(np.int64)
    count = min(k, len(scores))
    kept = sorted({place for place in pinned if place < count})
    if temperature == 0:
        return Drawn(by_score[:count], np.ones(count))
    free = by_score[~np.isin(np.arange(len(scores)), kept)]
    noise = np.random.default_rng(seed).gumbel(size=len(free))
    logits = scores[free] / temperature
    drawn = free[np.argsort(-(logits + noise), kind="stable")]
    places = np.setdiff1d(np.arange(count), kept)
    order = np.empty(count, dtype=np.int64)
    order[kept] = by_score[kept]
    order[places] = drawn[: len(places)]
    chances = np.ones(count)
    chances[places] = _chances(scores[drawn] / temperature)[: len(places)]
    return Drawn(order, chances)


def propensities(scores: Floats, order: Numbers, *, temperature: float) -> Floats:
    """How likely a Plackett-Luce policy of these scores would have drawn a list, choice by choice: the target's side of
    an off-policy estimate.

    Args:
        scores: of all candidates.
        order: rows that were shown, from the top.

    Raises:
        InputError: the temperature is below 0 or no number.
    """
    check(temperature)
    rest = np.setdiff1d(np.arange(len(scores)), order)
    if temperature == 0:
        left = np.array([scores[order[place:]].max(initial=-np.inf) for place in range(len(order))])
        best: NDArray[np.bool_] = scores[order] >= np.maximum(left, scores[rest].max(initial=-np.inf))
        return best.astype(np.float64)
    return _chances(scores[np.concatenate([order, rest])] / temperature)[: len(order)]


def check(temperature: float) -> None:
    """Raises:
    InputError: no list can be drawn with it.
    """
    if not (np.isfinite(temperature) and temperature >= 0):
        raise InputError(f"exploration temperature {temperature:g}: give a number from 0, where 0 explores nothing")


def _chances(logits: Floats) -> Floats:
    """Of each place's choice among those from it on; in logarithms, so that no far-off score becomes 0 / 0."""
    left = np.logaddexp.accumulate(logits[::-1])[::-1]
    found: Floats = np.exp(logits - left)
    return found
