"""Chance: how often as many alarms, thrown at random, would find as many surges.

An alarm is thrown at a random step of the history and given random keys, as many as it had (its own and the related
ones), each drawn by how often it has negative news. So neither an alarm that names many keys nor a surge of a key that
is always in the news proves much.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.finance_monitor.backtest import Event, Score
from apps.finance_monitor.history import Course

EXACT = 12
"""Surges up to which the probability is summed over all sets of them; it is drawn beyond."""
DRAWS = 10_000
SEED = 13


@dataclass(frozen=True)
class Chance:
    """Probability that random alarms find as many surges or more; never 0.

    Attributes:
        resolution: the smallest value that could have come out of so many draws; None where it is exact.
    """

    p_value: float
    resolution: float | None = None


def chance(course: Course, score: Score) -> Chance:
    """Of alarms like those of the score. It is exact where no alarm could tell of two surges."""
    surges = [*(match.event for match in score.found), *score.missed]
    if not score.found:
        return Chance(1.0)
    thrown = Thrown.like(course, surges)
    keys = [len(alert.keys) for alert in course.alerts]
    if thrown.apart and len(surges) <= EXACT:
        return Chance(max(thrown.exact(keys, len(score.found)), sys.float_info.min))
    return Chance(thrown.drawn(keys, len(score.found)), 1 / (1 + DRAWS))


@dataclass(frozen=True)
class Thrown:
    """How random alarms meet surges.

    Attributes:
        spans: whether an alarm at a step tells of a surge, if its key does: shape (steps, surges).
        concerns: whether an alarm of a key tells of a surge: shape (keys, surges).
        weights: how often each key is drawn; in sum 1.
    """

    spans: NDArray[np.bool_]
    concerns: NDArray[np.bool_]
    weights: NDArray[np.float64]

    @classmethod
    def like(cls, course: Course, surges: Sequence[Event]) -> Thrown:
        """Keys by the steps at which they have negative news, and one more, as a key without any may be a surge's."""
        steps = {key: len(counts) for key, counts in course.counts.items() if key.type != "all"}
        named = {key for alert in course.alerts for key in alert.keys}
        keys = sorted(steps.keys() | named | {event.key for event in surges if event.key.type != "all"})
        weights = np.array([1.0 + steps.get(key, 0) for key in keys])
        return cls(
            np.array([[event.spans(step) for event in surges] for step in course.steps]),
            np.array([[event.concerns(key) for event in surges] for key in keys]),
            weights / weights.sum(),
        )

    @property
    def apart(self) -> bool:
        return bool((self.spans.sum(axis=1) <= 1).all())

    def exact(self, keys: Sequence[int], found: int) -> float:
        """The probability, where surges lie apart in time: alarms are taken one by one, and each set of surges that
        are found by then has a probability.

        Args:
            keys: how many each alarm names.
        """
        surges = self.spans.shape[1]
        sets = np.arange(2**surges)
        chances = np.zeros(2**surges)
        chances[0] = 1.0
        times, named = self.spans.mean(axis=0), self.weights @ self.concerns
        for count in keys:
            hits = times * -np.expm1(count * np.log1p(-np.minimum(named, 1 - 1e-15)))
            after = chances * (1.0 - hits.sum())
            for place, hit in enumerate(hits):
                np.add.at(after, sets | 1 << place, chances * hit)
            chances = after
        sizes = np.array([int(one).bit_count() for one in sets])
        return float(chances[sizes >= found].sum())

    def drawn(self, keys: Sequence[int], found: int, *, draws: int = DRAWS) -> float:
        """The share of draws that find as many, this one counted among them (Phipson and Smyth 2010)."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import maximum_bipartite_matching

        random = np.random.default_rng(SEED)
        ends = np.cumsum(keys)
        starts = [0, *ends[:-1]]
        reached = 0
        for _ in range(draws):
            named = self.concerns[random.choice(len(self.weights), size=ends[-1], p=self.weights)]
            told = np.logical_or.reduceat(named, starts, axis=0)
            told &= self.spans[random.integers(len(self.spans), size=len(keys))]
            if told.any(axis=0).sum() >= found:
                matched = maximum_bipartite_matching(csr_array(told.astype(np.int8)), perm_type="row")
                reached += int((matched >= 0).sum()) >= found
        return (1 + reached) / (1 + draws)
