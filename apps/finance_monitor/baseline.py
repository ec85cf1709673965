"""Baseline: how many negative stories of a key are usual for a wire as busy as it is now.

Counts of a key are Poisson with a rate a story of the wire; the rate has a Gamma prior and is learnt from the feed, so
the count to expect is negative binomial (Gelman et al., Bayesian Data Analysis, 3rd ed., 2.6). Taking the wire's own
stories as the exposure, instead of hours, makes nights, weekends and holidays need no calendar: a quiet hour expects
little, a busy one much, and one hour's small share proves nothing.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection
from datetime import datetime, timedelta

from scipy.stats import nbinom

from apps.finance_monitor.windows import WINDOW, Key

PRIOR_STORIES = 200.0
"""Stories of the wire that the prior is worth."""
PRIOR_RATE = {"topic": 0.02, "company": 0.005, "all": 0.1}
"""Negative stories of one key a story of the wire, before anything is seen."""
MEMORY = timedelta(days=10)
"""Mean age of what is remembered: old counts fade by exp(-age / MEMORY)."""


class Baseline:
    """Rates of all keys, learnt from what lies before the window under test."""

    def __init__(self) -> None:
        self._stories = 0.0
        self._negative: dict[Key, float] = {}
        self._waiting: deque[tuple[datetime, int, Counter[Key]]] = deque()
        self._updated: datetime | None = None

    def learn(self, now: datetime, stories: int, negative: Counter[Key]) -> None:
        """Take in a step's counts. They become part of the baseline once they have left the window under test.

        Args:
            negative: counts a key; leave out keys whose alarm is firing, or a surge would teach itself to be normal.
        """
        self._waiting.append((now, stories, negative))
        while self._waiting and self._waiting[0][0] <= now - WINDOW:
            time, count, counts = self._waiting.popleft()
            self._fade(time)
            self._stories += count
            for key, number in counts.items():
                self._negative[key] = self._negative.get(key, 0.0) + number

    def known(self, others: Collection[Key]) -> int:
        """Keys that were ever negative, as far as is remembered, and those of `others`."""
        return len(self._negative.keys() | others)

    def expected(self, key: Key, stories: float) -> float:
        """Mean negative stories of the key among `stories` of the wire."""
        shape, rate = self._posterior(key)
        return shape / rate * stories

    def p_value(self, key: Key, observed: int, stories: float) -> float:
        """Probability of `observed` or more negative stories among `stories`, were all as usual."""
        if observed <= 0:
            return 1.0
        shape, rate = self._posterior(key)
        return float(nbinom.sf(observed - 1, shape, rate / (rate + stories)))

    def _posterior(self, key: Key) -> tuple[float, float]:
        shape = PRIOR_RATE[key.type] * PRIOR_STORIES + self._negative.get(key, 0.0)
        return shape, PRIOR_STORIES + self._stories

    def _fade(self, now: datetime) -> None:
        if self._updated is not None and now > self._updated:
            factor = math.exp(-(now - self._updated) / MEMORY)
            self._stories *= factor
            self._negative = {key: value * factor for key, value in self._negative.items() if value * factor > 1e-3}
        self._updated = now
