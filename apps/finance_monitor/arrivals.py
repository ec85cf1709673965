"""Arrivals: items as they come -> in order of event time, each id once.

The watermark is the newest event time less the lateness that is allowed: what lies before it is complete, and an item
that comes behind it is late. No clock is read, so the same arrivals give the same order, and arrivals in any order
within the allowed lateness give it too. Corrections and retractions count from when they were received, as they often
bear the time of what they revise; one that comes behind the watermark all the same is not late but counts there, as
long as what it revises is remembered. A feed that is read to its end is put in order whole, or as far as memory is to
reach: then the watermark is the time of what had to go on.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from apps.finance_monitor.items import NewsItem
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.seen import REMEMBERED, Seen

HELD = 100_000
"""Items of a feed without lateness that wait at a time, some 150 MB: a month of a large wire is put in order whole."""
LEAP = timedelta(days=1)
"""A time so far ahead of all others moves the watermark once another item bears it out."""
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class Arrivals:
    """Holds items until nothing earlier may come.

    Attributes:
        late: items that came behind the watermark; they count nowhere else.
        duplicates: items whose id was known.

    Args:
        lateness: None waits for the end of the feed, so that nothing is late, or until `held` items wait.
    """

    def __init__(self, lateness: timedelta | None, *, held: int = HELD) -> None:
        self.late = 0
        self.duplicates = 0
        self._lateness = lateness
        self._most = held
        self._waiting: list[tuple[datetime, bool, str, Labelled]] = []
        self._known: Seen[str] = Seen()
        self._watermark = _BEFORE_ALL
        self._newest: datetime | None = None
        self._leapt: datetime | None = None

    @property
    def held(self) -> int:
        """Items that wait for what may come before them."""
        return len(self._waiting)

    def add(self, one: Labelled) -> Iterator[Labelled]:
        """Take an item, and give those that are complete now, by event time, what revises others last, and by id."""
        item = one.item
        time = self._place(item)
        if item.id in self._known:
            self.duplicates += 1
        elif time < self._watermark:
            self.late += 1
        else:
            self._known.add(item.id, time)
            placed = one if time == item.time else replace(one, placed=time)
            heapq.heappush(self._waiting, (time, item.revises, item.id, placed))
        if self._lateness is None:
            while len(self._waiting) > self._most:
                self._watermark, *_, first = heapq.heappop(self._waiting)
                yield first
        else:
            if self._is_borne_out(item.time):
                self._watermark = max(self._watermark, item.time - self._lateness)
            while self._waiting and self._waiting[0][0] < self._watermark:
                yield heapq.heappop(self._waiting)[-1]
        self._known.forget(self._watermark)

    def _place(self, item: NewsItem) -> datetime:
        """Event time at which an item is to count.

        Times of receipt move no watermark: after an outage those of all news lie ahead of their times.
        """
        if not item.revises:
            return item.time
        waited = item.received - item.time
        time = item.received if timedelta(0) < waited < REMEMBERED else item.time
        return self._watermark if timedelta(0) < self._watermark - time < REMEMBERED else time

    def _is_borne_out(self, time: datetime) -> bool:
        """Whether the time may move the watermark: one clock gone mad must not make all news late."""
        leaps = self._newest is not None and time - self._newest > LEAP
        if leaps and (self._leapt is None or abs(time - self._leapt) > LEAP):
            self._leapt = time
            return False
        self._newest = max(self._newest or time, time)
        return True

    def rest(self) -> Iterator[Labelled]:
        """What is still held, at the end of the feed."""
        while self._waiting:
            yield heapq.heappop(self._waiting)[-1]
