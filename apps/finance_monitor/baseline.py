"""Baseline: how many negative stories of a key are usual, and how likely a window is, were all as usual.

Two questions are asked of each window, and a surge has to answer both:

- Are there more negative stories than at such an hour of the week? The key's rate a story of the wire is Gamma, and the
  wire's stories an hour spread around their season's mean, so the count is negative binomial.
- Do they make up more of the wire than usual? The key's share is Beta, so the count is beta-binomial.

A busy day alone raises counts and no share; a quiet Sunday's few stories raise a share and no count (Gelman et al.,
Bayesian Data Analysis, 3rd ed., 2.4 and 2.6).
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from scipy.special import betainc, betaln, gammaln

from apps.finance_monitor.season import Season
from apps.finance_monitor.windows import WINDOW, Key

PRIOR_STORIES = 200.0
"""Stories of the wire that the prior is worth."""
PRIOR_RATE = {"topic": 0.02, "company": 0.005, "all": 0.1}
"""Negative stories of one key a story of the wire, before anything is seen."""
MEMORY = timedelta(days=10)
"""Mean age of what is remembered: old counts fade by exp(-age / MEMORY)."""
TERMS = 256
"""Terms of a tail that are summed at a time."""


@dataclass(frozen=True)
class Tails:
    """What a window says of a key.

    Attributes:
        expected: negative stories to expect at such an hour.
        usual_share: of the wire's stories.
        p_count, p_share: probabilities of so many or more negative stories, were all as usual.
    """

    expected: float
    usual_share: float
    p_count: float
    p_share: float

    @property
    def p_value(self) -> float:
        """Of both at once: the larger one bounds the probability that both are so small (Berger 1982)."""
        return max(self.p_count, self.p_share)


class Baseline:
    """Rates of all keys, learnt from what lies before the window under test.

    Args:
        calendar: of the season's holidays.
    """

    def __init__(self, calendar: str | None = None) -> None:
        self._season = Season(calendar)
        self._stories = 0.0
        self._negative: dict[Key, float] = {}
        self._waiting: deque[tuple[datetime, int, int, Counter[Key]]] = deque()
        self._updated: datetime | None = None

    def learn(self, now: datetime, stories: int, window: int, negative: Counter[Key]) -> None:
        """Take in a step's counts. They become part of the baseline once they have left the window under test.

        Args:
            stories: of the step.
            window: stories of the window that ends with it.
            negative: counts a key; leave out keys whose alarm is firing, or a surge would teach itself to be normal.
        """
        self._waiting.append((now, stories, window, negative))
        while self._waiting and self._waiting[0][0] <= now - WINDOW:
            time, count, hour, counts = self._waiting.popleft()
            self._season.learn(time, count, hour)
            self._fade(time)
            self._stories += count
            for key, number in counts.items():
                self._negative[key] = self._negative.get(key, 0.0) + number

    def keep_holidays_of(self, calendar: str | None) -> None:
        """Take another country's."""
        self._season.calendar = calendar

    def known(self, others: Collection[Key]) -> int:
        """Keys that were ever negative, as far as is remembered, and those of `others`."""
        return len(self._negative.keys() | others)

    def tails(self, key: Key, observed: int, stories: int, now: datetime) -> Tails:
        """The window that ends at `now`.

        Args:
            observed: negative stories of the key.
            stories: of the wire, those included.
        """
        shape, rate = self._posterior(key)
        share = shape / rate
        expected = share * self._season.expected(now, stories)
        if observed <= 0:
            return Tails(expected, share, 1.0, 1.0)
        spread = 1.0 / (1.0 / shape + self._season.dispersion)
        p_count = float(betainc(observed, spread, expected / (spread + expected)))
        return Tails(
            expected, share, p_count, beta_binomial_tail(observed, max(stories, observed), shape, rate - shape)
        )

    def expected(self, key: Key, stories: float) -> float:
        """Mean negative stories of the key among `stories` of the wire."""
        shape, rate = self._posterior(key)
        return shape / rate * stories

    def _posterior(self, key: Key) -> tuple[float, float]:
        shape = PRIOR_RATE[key.type] * PRIOR_STORIES + self._negative.get(key, 0.0)
        return shape, max(PRIOR_STORIES + self._stories, shape + 1.0)

    def _fade(self, now: datetime) -> None:
        if self._updated is not None and now > self._updated:
            factor = math.exp(-(now - self._updated) / MEMORY)
            self._stories *= factor
            self._negative = {key: value * factor for key, value in self._negative.items() if value * factor > 1e-3}
        self._updated = now


def beta_binomial_tail(observed: int, trials: int, a: float, b: float) -> float:
    """Probability of `observed` or more of `trials`, whose probability is Beta(a, b).

    Terms are summed from `observed` on until they add nothing.
    """
    total = 0.0
    for start in range(observed, trials + 1, TERMS):
        hits = np.arange(start, min(start + TERMS, trials + 1))
        ways = gammaln(trials + 1) - gammaln(hits + 1) - gammaln(trials - hits + 1)
        part = float(np.exp(ways + betaln(hits + a, trials - hits + b) - betaln(a, b)).sum())
        total += part
        if part < 1e-12 * total:
            break
    return min(total, 1.0)
