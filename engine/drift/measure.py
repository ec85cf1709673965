"""Measure: how far a window lies from the reference, and how far chance alone would have put it.

Counts are compared by the population stability index, the symmetrised Kullback-Leibler divergence (Jeffreys 1946;
Siddiqi 2006, Credit Risk Scorecards, ch. 10, whose thresholds .1 and .25 are the usual ones). A small window has a high
index without any drift, about (1/n + 1/m) chi-square (Yurdakul & Naranjo 2020, J. Risk Model Validation 14(4)); what
chance alone gives is drawn here: the pooled texts are dealt out anew, which is exact whatever the counts.

Vectors are compared by the squared Mahalanobis distance of their means, which is the same divergence of two normal
distributions of one covariance, so that the same thresholds hold; what chance gives is Hotelling's T-square (1931).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.drift.sketch import DIRECTIONS, EMBEDDING, ORDERED, Sketch, told

MODERATE, LARGE = 0.1, 0.25
ALPHA = 0.01
"""How often all the measures of a model together call chance a drift; it is looked at many times a day."""
DRAWS = 4000
GROUPS = 10
"""Of the bins in an order: about a tenth of the reference each."""
RARE = 0.01
"""Labels under this share of the reference are counted together."""
OTHERS = "others"
SMOOTHING = 0.5
"""Added to each count: an empty group would make the index infinite."""


@dataclass(frozen=True)
class Group:
    """A label, or some neighbouring bins, with its share of the reference and of the window."""

    name: str
    reference: float
    window: float


@dataclass(frozen=True)
class Measure:
    name: str
    """"length", "language", "embedding", or of a head "sentiment: label"."""
    value: float
    """Population stability index; of the embedding the same divergence."""
    noise: float
    """What chance alone stays below, but for 1 look in 100 at all measures together."""
    p: float
    """How often chance alone gives so high a value."""
    texts: int
    groups: tuple[Group, ...] = ()
    trend: tuple[float | None, ...] = ()
    """Of each part of the window, the oldest first: the value less its mean by chance, so that a quiet hour does not
    stand out for its few texts; None where nothing was seen."""

    @property
    def verdict(self) -> Literal["stable", "moderate", "large", "too few texts to tell"]:
        """By the usual thresholds; what chance may have made is no drift."""
        if self.value < MODERATE:
            return "stable"
        if self.value <= self.noise:
            return "too few texts to tell"
        return "large" if self.value >= LARGE else "moderate"

    @property
    def drifted(self) -> bool:
        return self.verdict in ("moderate", "large")


def measures(reference: Sketch, window: Sketch, parts: Sequence[Sketch] = (), *, seed: int = 0) -> list[Measure]:
    """The measures that both have, the same for the same sketches and seed.

    Args:
        parts: of the window, the oldest first, for the trend.
    """
    common = set(reference.measures()) & set(window.measures())
    shift = _shift(reference, window, 1.0) is not None
    level = ALPHA / max(1, len(common) + shift)
    random = np.random.default_rng(seed)
    found = []
    for name in sorted(common):
        before = reference.bins(name)
        grouping = _grouping(name, before)
        counts = _counted(grouping, before), _counted(grouping, window.bins(name))
        value = float(psi(*counts))
        drawn = _dealt(*counts, random)
        trend = tuple(_excess(counts[0], _counted(grouping, part.bins(name))) for part in parts)
        names = list(dict.fromkeys(grouping.values()))
        shares = [one / max(1, one.sum()) for one in counts]
        found.append(
            Measure(
                name,
                value,
                float(np.quantile(drawn, 1 - level, method="higher")),
                (1 + int((drawn >= value).sum())) / (1 + DRAWS),
                int(counts[1].sum()),
                tuple(Group(*one) for one in zip(names, shares[0].tolist(), shares[1].tolist(), strict=True)),
                trend,
            )
        )
    if (moved := _shift(reference, window, level)) is not None:
        parted = [_shift(reference, part, level) for part in parts]
        trend = tuple(None if one is None else max(0.0, one.value - one.usual) for one in parted)
        found.append(Measure(EMBEDDING, moved.value, moved.noise, moved.p, moved.texts, (), trend))
    return found


def psi(reference: NDArray[np.int64], window: NDArray[np.int64]) -> NDArray[np.float64]:
    """Population stability index of counts, shape (..., groups): sum of (w - r) log(w / r) over the shares."""
    shares = [(counts + SMOOTHING) / (counts + SMOOTHING).sum(-1, keepdims=True) for counts in (reference, window)]
    return np.asarray(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum(-1))


def _excess(reference: NDArray[np.int64], window: NDArray[np.int64]) -> float | None:
    """The index less its mean by chance, that of (1/n + 1/m) chi-square; None of an empty window."""
    n, m = int(reference.sum()), int(window.sum())
    if not m:
        return None
    return max(0.0, float(psi(reference, window)) - (len(reference) - 1) * (1 / n + 1 / m))


def _dealt(reference: NDArray[np.int64], window: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float64]:
    """The index where only chance tells window and reference apart: their texts dealt out anew, again and again."""
    pooled = reference + window
    drawn = random.multivariate_hypergeometric(pooled, int(window.sum()), size=DRAWS, method="marginals")
    return psi(pooled - drawn, drawn)


def _grouping(name: str, reference: Mapping[str, float]) -> dict[str, str]:
    """Bin -> its group. A bin that the reference lacks is among the others, or with its nearest neighbour."""
    total = sum(reference.values())
    if not name.endswith(ORDERED):
        kept = sorted((bin_ for bin_, count in reference.items() if count >= RARE * total), key=str)
        return {**{bin_: bin_ for bin_ in kept}, OTHERS: OTHERS}
    groups: dict[str, str] = {}
    current: list[str] = []
    mass = 0.0
    ordered = sorted(reference, key=int)
    for place, bin_ in enumerate(ordered):
        current.append(bin_)
        mass += reference[bin_]
        if mass >= total / GROUPS or place == len(ordered) - 1:
            groups |= dict.fromkeys(current, told(name, int(current[0]), int(current[-1])))
            current, mass = [], 0.0
    return groups


def _counted(grouping: Mapping[str, str], bins: Mapping[str, float]) -> NDArray[np.int64]:
    """Counts of the groups, in their order."""
    totals = dict.fromkeys(grouping.values(), 0.0)
    for bin_, count in bins.items():
        if bin_ in grouping:
            totals[grouping[bin_]] += count
        elif OTHERS in totals:
            totals[OTHERS] += count
        else:
            nearest = min(grouping, key=lambda known: abs(int(known) - int(bin_)))
            totals[grouping[nearest]] += count
    return np.rint(list(totals.values())).astype(np.int64)


@dataclass(frozen=True)
class _Shift:
    value: float
    usual: float
    """Mean by chance."""
    noise: float
    p: float
    texts: int


def _shift(reference: Sketch, window: Sketch, level: float) -> _Shift | None:
    """Of the means of the vectors; None where one of them has none, or too few."""
    from scipy.stats import f

    first, second = reference.moments(), window.moments()
    if first is None or second is None or first[0] + second[0] <= DIRECTIONS + 4:
        return None
    (n, mean, spread), (m, other, its) = first, second
    free = n + m - 2
    pooled = ((n - 1) * spread + (m - 1) * its) / free
    difference = other - mean
    value = float(difference @ np.linalg.pinv(pooled) @ difference)
    # T-square = n m / (n + m) value, and (free - d + 1) / (free d) T-square has F(d, free - d + 1).
    scale = n * m / (n + m) * (free - DIRECTIONS + 1) / (free * DIRECTIONS)
    law = f(DIRECTIONS, free - DIRECTIONS + 1)
    usual = float(law.mean()) / scale
    return _Shift(value, usual, float(law.isf(level)) / scale, float(law.sf(value * scale)), round(m))
