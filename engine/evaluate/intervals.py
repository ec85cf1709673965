"""Bootstrap: how far a figure, or the difference of two, could have come out otherwise on test rows like these."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
Metric = Callable[[NDArray[np.intp]], float]
"""A figure over some of the rows, by their numbers."""


@dataclass(frozen=True)
class Difference:
    """How much more the second has than the first."""

    value: float
    low: float
    high: float
    """95% interval."""
    p: float
    """Two-sided: how often a difference at least so far from zero would come of chance alone, if there were none."""

    @property
    def verdict(self) -> str:
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no difference shown"


def bootstrap(
    metric: Metric, clusters: Sequence[object], *, level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """Figure over all rows and its percentile interval (Efron & Tibshirani 1993, ch. 13).

    Args:
        metric: a function of row numbers.
        clusters: for each row what it is drawn together with (a story's retellings are not independent);
            all different where rows are independent.

    Returns:
        (figure, low, high)
    """
    draws = [metric(rows) for rows in _resampled(clusters, np.random.default_rng(seed))]
    low, high = _edges(draws, level)
    return metric(_all(clusters)), low, high


def paired_bootstrap(
    first: Sequence[Metric], second: Sequence[Metric], clusters: Sequence[object], *, level: float = 0.95, seed: int = 0
) -> Difference:
    """Whether the second does better than the first on the same rows: the paired bootstrap (Efron & Tibshirani 1993,
    ch. 16; Koehn 2004), each draw taking the same rows for both, and the same seeds where there are several.

    The interval of few seeds is somewhat narrow: of n drawn with putting back, the variance is (n - 1) / n of theirs.

    Args:
        first, second: the metric of each model of one recipe, a seed each, in the same order of seeds.
        clusters: as in `bootstrap`.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} seeds against {len(second)}: pairs need the same")
    random = np.random.default_rng(seed)
    draws = []
    for rows in _resampled(clusters, random):
        chosen = random.integers(len(first), size=len(first))
        draws.append(float(np.mean([second[number](rows) - first[number](rows) for number in chosen])))
    found = np.asarray(draws)
    # One is added to each side: a p of zero would say more than a thousand draws can.
    tail = min(int((found <= 0).sum()), int((found >= 0).sum())) + 1
    rows = _all(clusters)
    value = float(np.mean([after(rows) - before(rows) for before, after in zip(first, second, strict=True)]))
    low, high = _edges(draws, level)
    return Difference(value, low, high, min(1.0, 2 * tail / (len(draws) + 1)))


def wilson(hits: int, tried: int, *, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927; Brown, Cai & DasGupta 2001 on why not the usual one); 0 to 1 of none."""
    if not tried:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, shrunk = hits / tried, 1 + z * z / tried
    centre = (share + z * z / (2 * tried)) / shrunk
    half = z / shrunk * math.sqrt(share * (1 - share) / tried + z * z / (4 * tried * tried))
    return 0.0 if hits == 0 else centre - half, 1.0 if hits == tried else centre + half


def of_mean(values: NDArray[np.float64], *, level: float = 0.95, seed: int = 0) -> tuple[float, float, float]:
    """As `bootstrap`, for the mean of independent values, shape (rows,): much faster."""
    random = np.random.default_rng(seed)
    draws = values[random.integers(len(values), size=(RESAMPLES, len(values)))].mean(1)
    return float(values.mean()), *_edges(draws.tolist(), level)


def _resampled(clusters: Sequence[object], random: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Row numbers of each resample: whole clusters, drawn with putting back."""
    rows_of: dict[object, list[int]] = {}
    for row, cluster in enumerate(clusters):
        rows_of.setdefault(cluster, []).append(row)
    groups = [np.asarray(rows, dtype=np.intp) for rows in rows_of.values()]
    for _ in range(RESAMPLES):
        yield np.concatenate([groups[number] for number in random.integers(len(groups), size=len(groups))])


def _edges(draws: Sequence[float], level: float) -> tuple[float, float]:
    edge = (1 - level) / 2
    low, high = np.quantile(draws, [edge, 1 - edge])
    return float(low), float(high)


def _all(clusters: Sequence[object]) -> NDArray[np.intp]:
    return np.arange(len(clusters), dtype=np.intp)
