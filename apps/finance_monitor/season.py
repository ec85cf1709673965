"""Season: how many stories the wire usually has at an hour of the week.

An hour of the week is seen once in seven days, so that each hour leans on the same hour of other working days or of the
weekend, and those on the wire's mean (partial pooling): after two days the nights are known, after two weeks Mondays.
Public holidays are taken for Sundays. Hours are UTC's.
"""

from __future__ import annotations

import math
from collections.abc import Container
from datetime import date, datetime, timedelta
from functools import cache

import numpy as np

from apps.finance_monitor.windows import STEP, WINDOW
from engine.errors import InputError

MEMORY = timedelta(days=28)
"""Mean age of what is remembered: old counts fade by exp(-age / MEMORY)."""
LEANS = 2.0
"""Hours of its own after which an hour of the week is believed as much as those like it."""
COLD = 24.0
"""Hours of the wire after which its season is believed as much as what comes now."""
DISPERSION, SEEN_BEFORE, BOUNDS = 0.25, 48.0, (0.02, 1.0)
"""Squared coefficient of variation of an hour's stories around their expectation: where it starts, how many steps that
is worth, and where it stays."""
ENOUGH = 5.0
"""Expected stories from which an hour tells something about the dispersion."""
WILD = 4.0
"""Most that one step may say of it: one mad hour is no season."""
SUNDAY = 6


class Season:
    """Learns from the steps as they pass.

    Args:
        calendar: a country's code (US, GB, CN), or None: no holidays are known.
    """

    def __init__(self, calendar: str | None = None) -> None:
        self.calendar = calendar
        self._stories = np.zeros((7, 24))
        self._hours = np.zeros((7, 24))
        self._spread = 0.0
        self._steps = 0.0
        self._updated: datetime | None = None

    @property
    def dispersion(self) -> float:
        """Squared coefficient of variation of an hour's stories, beyond what chance makes of their mean."""
        found = (DISPERSION * SEEN_BEFORE + self._spread) / (SEEN_BEFORE + self._steps)
        return min(max(found, BOUNDS[0]), BOUNDS[1])

    def learn(self, now: datetime, stories: int, window: int) -> None:
        """Take in a step that ends at `now`, and the stories of the whole window that ends there."""
        usual = self.usual(now)
        if self._updated is not None and now > self._updated:
            factor = math.exp(-(now - self._updated) / MEMORY)
            self._stories *= factor
            self._hours *= factor
            self._spread *= factor
            self._steps *= factor
        self._updated = now
        if usual >= ENOUGH and self._hours.sum() >= COLD:
            self._spread += min(((window - usual) ** 2 - usual) / usual**2, WILD)
            self._steps += 1.0
        day, hour = self._bin(now - STEP / 2)
        self._stories[day, hour] += stories
        self._hours[day, hour] += STEP / timedelta(hours=1)

    def expected(self, now: datetime, stories: float) -> float:
        """Stories to expect in the window that ends at `now`; while the wire is new, those that it has there."""
        seen = self._hours.sum()
        return float((seen * self.usual(now) + COLD * stories) / (seen + COLD))

    def usual(self, now: datetime) -> float:
        """Mean stories of the window that ends at `now`, by its hours of the week."""
        middles = [now - (number + 0.5) * STEP for number in range(WINDOW // STEP)]
        return sum(self._rate(time) for time in middles) * (STEP / timedelta(hours=1))

    def _rate(self, time: datetime) -> float:
        """Stories an hour."""
        day, hour = self._bin(time)
        alike = slice(0, 5) if day < 5 else slice(5, 7)
        mean = self._stories.sum() / max(self._hours.sum(), LEANS)
        like = (self._stories[alike, hour].sum() + LEANS * mean) / (self._hours[alike, hour].sum() + LEANS)
        return float((self._stories[day, hour] + LEANS * like) / (self._hours[day, hour] + LEANS))

    def _bin(self, time: datetime) -> tuple[int, int]:
        rests = self.calendar is not None and time.date() in free_days(self.calendar)
        return SUNDAY if rests else time.weekday(), time.hour


@cache
def free_days(calendar: str) -> Container[date]:
    """Public holidays of a country.

    Raises:
        InputError: there is no such country.
    """
    import holidays

    try:
        return holidays.country_holidays(calendar)
    except NotImplementedError:
        raise InputError(f"--calendar {calendar}: no such country; give its ISO code, as US, GB or CN") from None
