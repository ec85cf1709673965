"""Intervals: how far a mean over lists could have come out otherwise with other users like these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender.candidates import Floats

DRAWS = 2000
BLOCK = 4_000_000
"""Entries of the matrix of draws that are in memory at a time."""


@dataclass(frozen=True)
class Interval:
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def bootstrap(
    values: Mapping[str, Floats], user_ids: NDArray[Any], *, draws: int = DRAWS, seed: int = 13
) -> dict[str, Interval]:
    """Mean of each column of values and its percentile interval (Efron & Tibshirani 1993, ch. 13 and 16).

    Whole users are drawn with putting back, since the lists of one are not independent; all columns share the draws, so
    the difference of two columns, given as a column, is a paired bootstrap.

    Args:
        values: name -> a value a list, shape (lists,); NaN where a list has none.
        user_ids: of each list.
    """
    names = list(values)
    if not names or not len(user_ids):
        return {name: Interval(np.nan, np.nan, np.nan) for name in names}
    _, users = np.unique(user_ids.astype(str), return_inverse=True)
    count = int(users.max()) + 1
    columns = np.stack([values[name] for name in names], axis=1)
    there = ~np.isnan(columns)
    sums, sizes = (
        np.stack([np.bincount(users, weights=column, minlength=count) for column in block.T], axis=1)
        for block in (np.where(there, columns, 0.0), there)
    )
    random = np.random.default_rng(seed)
    drawn = []
    step = max(1, BLOCK // count)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        chosen = random.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(chosen.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)
        drawn.append(_mean(times @ sums, times @ sizes))
    value = _mean(sums.sum(0), sizes.sum(0))
    # A draw may hold none of a small slice's users; what the others say stands.
    edges = np.full((2, len(names)), np.nan)
    known = ~np.isnan(value)
    edges[:, known] = np.nanquantile(np.concatenate(drawn)[:, known], [0.025, 0.975], axis=0)
    return {name: Interval(*map(float, (value[n], edges[0, n], edges[1, n]))) for n, name in enumerate(names)}


def _mean(sums: Floats, sizes: Floats) -> Floats:
    out = np.full(sums.shape, np.nan)
    np.divide(sums, sizes, out=out, where=sizes > 0)
    return out
