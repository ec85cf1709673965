"""Seen: when each name was seen last, for two days.

Old names go by whole generations: one large table, built anew whenever it is full of gaps, leaves holes of its size in
the process's memory that nothing else fills.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

REMEMBERED = timedelta(hours=48)
"""A name is known for so long after its time; memory stays bounded by two days of news."""
GENERATIONS = 8
Name = TypeVar("Name", bound=Hashable)


class Seen(Generic[Name]):
    """Names, each with its last time."""

    def __init__(self) -> None:
        self._now = datetime.min.replace(tzinfo=UTC)
        self._generations: deque[tuple[datetime, dict[Name, datetime]]] = deque([(self._now, {})])
        """When each began, and its names; the youngest stands first, and a name's time is the first that is found."""

    def __len__(self) -> int:
        """Names that take room, be they old or there twice."""
        return sum(len(known) for _, known in self._generations)

    def __contains__(self, name: Name) -> bool:
        for _, known in self._generations:
            if name in known:
                return self._now - known[name] < REMEMBERED
        return False

    def add(self, name: Name, time: datetime) -> None:
        self._generations[0][1][name] = time

    def forget(self, now: datetime) -> None:
        """The time is `now`; names from two days before it are known no more."""
        self._now = max(self._now, now)
        if self._now - self._generations[0][0] < REMEMBERED / GENERATIONS:
            return
        self._generations.appendleft((self._now, {}))
        while self._now - self._generations[-2][0] >= REMEMBERED:
            for name, time in self._generations.pop()[1].items():
                if self._now - time < REMEMBERED and not any(name in known for _, known in self._generations):
                    self.add(name, time)  # it is ahead of its time
