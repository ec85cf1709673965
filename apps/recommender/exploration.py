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


def draw(logits: Floats, size: int, rng: np.random.Generator) -> tuple[Numbers, Floats]:
    """Places drawn one after the other by softmax among those left (Plackett 1975), and the probability of each choice;
    shapes (lists, size).

    Sorting logits with Gumbel noise draws from the same law (Yellott 1977), in one go.

    Args:
        logits: shape (lists, candidates); minus infinity is never drawn while there is something else.
    """
    places = np.argsort(-(logits + rng.gumbel(size=logits.shape)), axis=1, kind="stable")
    return places[:, :size], _chances(np.take_along_axis(logits, places, axis=1), size)


def plackett_luce(
    scores: Floats, k: int, *, temperature: float, seed: int | Sequence[int], pinned: Sequence[int] = ()
) -> Drawn:
    """The first k as `draw` draws them, the logits being scores / temperature.

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
    places = np.setdiff1d(np.arange(count), kept)
    order, chances = np.empty(count, dtype=np.int64), np.ones(count)
    drawn, drawn_by = draw(scores[None, free] / temperature, len(places), np.random.default_rng(seed))
    order[kept] = by_score[kept]
    order[places], chances[places] = free[drawn[0]], drawn_by[0]
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
    return _chances(scores[np.concatenate([order, rest])] / temperature, len(order))


def check(temperature: float) -> None:
    """Raises:
    InputError: no list can be drawn with it.
    """
    if not (np.isfinite(temperature) and temperature >= 0):
        raise InputError(f"exploration temperature {temperature:g}: give a number from 0, where 0 explores nothing")


def _chances(logits: Floats, size: int) -> Floats:
    """Of the first places' choices, each among those from it on; in logarithms, so that no far-off score becomes
    0 / 0."""
    left = np.logaddexp.accumulate(logits[..., ::-1], axis=-1)[..., ::-1]
    found: Floats = np.exp(logits[..., :size] - left[..., :size])
    return found
