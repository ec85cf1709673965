"""Recent: what the titles of the last two days looked like, row by row, and the story of each."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

REMEMBERED = timedelta(hours=48)
"""A retelling later than this is a new story: memory stays bounded by two days of news."""
FIRST_ROWS, ROOM = 256, 2.5
"""Rows that there is room for at first, and times the rows when room is made anew."""


@dataclass(eq=False, slots=True)
class Story:
    """An event, known by the first item that told it.

    Attributes:
        vectors: its tellings that are remembered with their meaning.
        same: the older story that this one turned out to be.
    """

    id: str
    since: datetime
    vectors: int = 0
    same: Story | None = None

    def root(self) -> Story:
        story = self
        while story.same:
            story = story.same
        return story


class Recent:
    """Rows in order of time; what is too old, or too much, is forgotten.

    Attributes:
        first: number of the oldest row; rows are numbered on and on.

    Args:
        width: numbers of a row.
        most: rows that are remembered at most, however busy the wire.
    """

    def __init__(self, width: int, dtype: Any, *, most: int) -> None:
        self.first = 0
        self._most = most
        self._room: NDArray[Any] = np.zeros((FIRST_ROWS, width), dtype=dtype)
        self._start = 0
        self._told: deque[tuple[datetime, Story]] = deque()

    def __len__(self) -> int:
        return len(self._told)

    @property
    def rows(self) -> NDArray[Any]:
        """Shape (rows, width), the oldest first."""
        return self._room[self._start : self._start + len(self._told)]

    def story(self, number: int) -> Story:
        return self._told[number - self.first][1].root()

    def add(self, row: NDArray[Any], time: datetime, story: Story) -> int:
        """Remember a row; gives its number."""
        if self._start + len(self._told) == len(self._room):
            self._make_room()
        self._told.append((time, story))
        self.rows[-1] = row
        return self.first + len(self._told) - 1

    def forget(self, now: datetime) -> list[Story]:
        """Drop what is remembered no more before a row is added at `now`; gives the stories of those rows."""
        horizon, gone = now - REMEMBERED, []
        while self._told and (self._told[0][0] < horizon or len(self._told) >= self._most):
            gone.append(self._told.popleft()[1].root())
        self._start += len(gone)
        self.first += len(gone)
        return gone

    def _make_room(self) -> None:
        """Rows go back to the start of the room; only where they fill most of it, it is made anew."""
        live = self.rows
        if 2 * len(live) >= len(self._room):
            self._room = np.zeros((max(FIRST_ROWS, int(ROOM * len(live))), live.shape[1]), dtype=live.dtype)
        self._room[: len(live)] = live
        self._start = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_room": self.rows.copy(), "_start": 0}
