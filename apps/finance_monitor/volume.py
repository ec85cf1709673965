"""Volume: whether a count a step (stories of a key or of the whole wire) is out of all proportion to what is usual.

Counts are taken on the scale 2 sqrt(n + 3/8), where a Poisson count has a standard deviation of about one whatever its
mean (Anscombe 1948). What is usual there is a level with offsets for the hour and the weekday, each pulled towards none
while little was seen of it. A count's deviation is told in standard deviations; those beyond `TAIL`, where none within
a day was larger, are the anomalies so far, and their sizes follow a Pareto law (peaks over a threshold, with runs
declustered: Coles, An Introduction to Statistical Modeling of Extreme Values, 2001, ch. 4.3 and 5.3). So a wire that
bursts often has to burst louder, one anomaly is told once, and a level that stays is news no more.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(days=1)
MEMORY = 7.0
"""Days after which half of the level and of the spread is forgotten."""
POOL = (7.0, 2.0)
"""Days of an hour, and of a weekday, after which its own offset counts half."""
SEASON_MEMORY = 28.0
"""Days of an hour or weekday over which its offset is averaged."""
CLIP = 8.0
"""Deviations that a count teaches at most, so that an anomaly does not make itself usual."""
TAIL = 5.0
"""Deviations from where on the Pareto law holds. This and the next three were chosen on series of our own making."""
PRIOR_PEAKS = 5.0
"""What is believed before anything is seen weighs so many anomalies."""
PRIOR_RATE = 1 / 7
"""Anomalies beyond `TAIL` a day."""
PRIOR_SHAPE = 0.25
TAIL_MEMORY = 28.0
"""Days after which half of the anomalies is forgotten."""
SETTLING = 0.25
"""Days before a count may be called an anomaly or is held back by `CLIP`."""


@dataclass(frozen=True)
class Reading:
    """What a count says."""

    expected: float
    deviation: float
    """Standard deviations above what is usual."""
    p_value: float
    """Probability that a usual day holds one so large; 1 where a larger one lies within the day before."""


class Volume:
    """Follows the counts of one series, in order of time; memory is bounded by the steps of a day.

    Args:
        step: between two counts.
    """

    def __init__(self, step: timedelta) -> None:
        self._day = DAY / step
        self._steps = 0
        self._level = 0.0
        self._variance = 0.0
        self._hours = _Offsets(24, self._day / 24, POOL[0])
        self._weekdays = _Offsets(7, self._day, POOL[1])
        self._largest: deque[tuple[int, float]] = deque()
        self._peaks = PRIOR_PEAKS
        self._excess = PRIOR_PEAKS * PRIOR_SHAPE
        self._days = PRIOR_PEAKS / PRIOR_RATE

    def take(self, time: datetime, count: int) -> Reading:
        value = 2.0 * math.sqrt(count + 0.375)
        if not self._steps:
            self._level = value
        hour, weekday = time.hour, time.weekday()
        season = self._hours.offset(hour) + self._weekdays.offset(weekday)
        residual = value - self._level - season
        spread = math.sqrt(max(self._variance, 1.0))
        deviation = residual / spread
        settled = self._steps >= SETTLING * self._day
        record = self._record(deviation)
        p_value = self._p_value(deviation) if record and settled and deviation > 0 else 1.0
        reading = Reading(max(0.0, ((self._level + season) / 2) ** 2 - 0.375), deviation, p_value)
        if settled:
            self._learn_tail(deviation if record else 0.0)
            residual = max(-CLIP * spread, min(CLIP * spread, residual))
        self._steps += 1
        weight = max(1 - 0.5 ** (1 / (MEMORY * self._day)), 1 / self._steps)
        self._level += weight * residual
        self._variance += weight * (residual * residual - self._variance)
        self._hours.learn(hour, residual)
        self._weekdays.learn(weekday, residual)
        return reading

    def _record(self, deviation: float) -> bool:
        """Whether none within a day was as large."""
        largest = self._largest
        while largest and largest[0][0] <= self._steps - self._day:
            largest.popleft()
        record = not largest or deviation > largest[0][1]
        while largest and largest[-1][1] <= deviation:
            largest.pop()
        largest.append((self._steps, deviation))
        return record

    def _p_value(self, deviation: float) -> float:
        rate, shape = self._peaks / self._days, self._excess / self._peaks
        return -math.expm1(-rate * (deviation / TAIL) ** (-1 / shape))

    def _learn_tail(self, deviation: float) -> None:
        """Days and anomalies gone by, all fading alike; the shape is their mean log excess (Hill 1975)."""
        fade = 0.5 ** (1 / (TAIL_MEMORY * self._day))
        self._days = self._days * fade + 1 / self._day
        self._peaks *= fade
        self._excess *= fade
        if deviation > TAIL:
            self._peaks += 1
            self._excess += math.log(deviation / TAIL)


class _Offsets:
    """Offsets of the cells of a cycle, partially pooled: one seen little says little."""

    def __init__(self, cells: int, a_day: float, pool: float) -> None:
        self._mean = [0.0] * cells
        self._steps = [0] * cells
        self._a_day = a_day
        self._pool = pool

    def offset(self, cell: int) -> float:
        days = self._steps[cell] / self._a_day
        return self._mean[cell] * days / (days + self._pool)

    def learn(self, cell: int, residual: float) -> None:
        """Take in what the offset left over."""
        self._steps[cell] = min(self._steps[cell] + 1, round(SEASON_MEMORY * self._a_day))
        self._mean[cell] += (residual + self.offset(cell) - self._mean[cell]) / self._steps[cell]
