"""Watch: what no surge of negative stories shows: volume out of proportion, and slow drift of the negative share."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from apps.finance_monitor.drift import BLOCK, Drift
from apps.finance_monitor.volume import TAIL, Volume
from apps.finance_monitor.windows import ALL, STEP, WINDOW, Key, Step

BUDGET = 0.1
"""False notices a day, half of them of volume."""
DAY, NONE = timedelta(days=1), timedelta(0)
SETTLING = timedelta(days=2)
"""A key is followed for so long before its volume is told of: day and night must have been seen."""
FORGOTTEN = timedelta(days=7)
"""A key that nothing is told of for so long is followed no more."""
MOST_KEYS = 200
"""Keys that are followed; a new one has to wait until one is forgotten."""
CALM = TAIL / 2
"""Deviations under which a volume must stay for a whole window to be usual again."""


@dataclass(frozen=True)
class Notice:
    """A key's volume or drift has begun or ended.

    Attributes:
        key: `ALL` for the whole wire.
        observed: stories of the last hour; of a drift, its negative stories so far.
        expected: what is usual instead.
        p_value: probability that a usual day holds such a volume; of a drift, the share of six hours of usual news that
            end with so much evidence.
        since: when it was told of first.
    """

    kind: Literal["volume", "drift"]
    key: Key
    opened: bool
    since: datetime
    observed: int
    expected: float
    p_value: float


class Watch:
    """Follows the wire and its keys step by step.

    The budget of false notices is dealt out: half to volume, of which the whole wire has half and all keys the rest;
    half to drift, for all alike.

    Args:
        budget: false notices a day.
    """

    def __init__(self, budget: float = BUDGET) -> None:
        self.budget = budget
        self._followed: dict[Key, _Followed] = {}

    def step(self, now: datetime, came: Step) -> list[Notice]:
        """What began or ended at `now`, the end of a step, in order of keys.

        Args:
            came: what came in the step.
        """
        told = came.told | came.negative  # a story told again, as bad news now, counts among the stories as well
        told[ALL] = came.stories
        self._admit(now, [key for key, stories in told.items() if stories])
        for key, stories in told.items():
            if key in self._followed:
                self._followed[key].take(stories, came.negative[key])
        since_midnight = now - now.replace(hour=0, minute=0)
        whole_hour, block_ends = since_midnight % WINDOW == NONE, since_midnight % BLOCK == NONE
        keys = len(self._followed)
        notices = []
        for key in sorted(self._followed) if whole_hour else [ALL]:
            one = self._followed[key]
            alpha = self.budget / 4 / (1 if key == ALL else keys - 1)
            notices += one.volume_notice(key, now, alpha)
            if block_ends:
                notices += one.drift_notice(key, now, self.budget / 2 * (BLOCK / DAY) / keys)
        return notices

    def _admit(self, now: datetime, told: list[Key]) -> None:
        for key, one in list(self._followed.items()):
            if now - one.told > FORGOTTEN and not one.busy and key != ALL:
                del self._followed[key]
        self._followed.setdefault(ALL, _Followed(now, STEP))
        for key in sorted(told):
            if key in self._followed or len(self._followed) < MOST_KEYS:
                self._followed.setdefault(key, _Followed(now, WINDOW)).told = now


class _Followed:
    """One key: what came lately, and both detectors.

    Args:
        every: how often the stories of the last hour are looked at. The wire's every step; those of a key, of which
            there are many, once an hour.
    """

    def __init__(self, begun: datetime, every: timedelta) -> None:
        self.begun = self.told = begun
        self._recent: deque[int] = deque(maxlen=WINDOW // every)
        self._volume = Volume(every)
        self._drift = Drift()
        self._new = 0
        self._stories = 0
        self._negative = 0
        self._loud_since: datetime | None = None
        self._calm_since: datetime | None = None
        self._drifts_since: datetime | None = None

    @property
    def busy(self) -> bool:
        return bool(self._loud_since or self._drifts_since)

    def take(self, stories: int, negative: int) -> None:
        self._new += stories
        self._stories += stories
        self._negative += negative

    def volume_notice(self, key: Key, now: datetime, alpha: float) -> list[Notice]:
        self._recent.append(self._new)
        self._new = 0
        count = sum(self._recent)
        reading = self._volume.take(now - WINDOW / 2, count)

        def notice(opened: bool, since: datetime) -> list[Notice]:
            return [Notice("volume", key, opened, since, count, reading.expected, reading.p_value)]

        if self._loud_since is None:
            if reading.p_value < alpha and now - self.begun >= SETTLING:
                self._loud_since = now
                return notice(True, now)
            return []
        if reading.deviation >= CALM:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= WINDOW:
            since, self._loud_since, self._calm_since = self._loud_since, None, None
            return notice(False, since)
        return []

    def drift_notice(self, key: Key, now: datetime, alpha: float) -> list[Notice]:
        stories, negative = self._stories, min(self._negative, self._stories)
        self._stories = self._negative = 0
        before = self._drift.negative + negative, self._drift.share * (self._drift.stories + stories)
        if not self._drift.take(stories, negative, alpha):
            return []
        opened = self._drift.firing
        since = now if opened else self._drifts_since or now
        self._drifts_since = now if opened else None
        return [Notice("drift", key, opened, since, *before, self._drift.p_value)]
