"""Past: the histories of many users side by side, as the parts of the recommender read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender.events import Events, History
from apps.recommender.items import Items

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Past:
    """Histories oldest first, one behind the other; what is not in the catalogue is left out.

    What a user did with one item without another between, a click, a comment, a purchase, is one event of the sum of
    their weights.

    Attributes:
        items: their places in the catalogue, shape (events,).
        starts: history i is `items[starts[i]:starts[i + 1]]`; shape (histories + 1,).
        weights: of the events, shape (events,).
        times: seconds since 1970 at which they began, NaN where only the order is known; shape (events,).
    """

    items: Ints
    starts: NDArray[np.int64]
    weights: Floats
    times: NDArray[np.float64]

    @classmethod
    def of(cls, histories: Sequence[History], items: Items) -> Past:
        flat = [event for history in histories for event in history]
        times = [event.time.timestamp() if event.time else np.nan for event in flat]
        return cls._kept(
            items.numbers(event.item_id for event in flat),
            np.cumsum([0, *map(len, histories)]),
            np.array([event.weight for event in flat], np.float32),
            np.array(times, np.float64),
        ).merged()

    @classmethod
    def users(cls, events: Events, items: Items) -> tuple[NDArray[np.object_], Past]:
        """Who is in the events, and the whole history of each."""
        users, found = cls.uncut(events, items)
        return users, found.merged()

    @classmethod
    def uncut(cls, events: Events, items: Items) -> tuple[NDArray[np.object_], Past]:
        """As `users`, to be cut at moments and then `merged`: every event by itself."""
        frame = events.frame
        users = frame["user_id"].to_numpy(dtype=object)
        firsts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if len(users) else np.zeros(0, np.int64)
        found = cls._kept(
            items.numbers(frame["item_id"]),
            np.r_[firsts, len(users)],
            frame["weight"].to_numpy(np.float32),
            seconds(frame["datetime"]),
        )
        return users[firsts], found

    @classmethod
    def _kept(cls, items: Ints, starts: NDArray[np.int64], weights: Floats, times: NDArray[np.float64]) -> Past:
        known = items >= 0
        return cls(items[known], np.r_[0, np.cumsum(known)][starts].astype(np.int64), weights[known], times[known])

    def merged(self) -> Past:
        """What was done with one item without another between as one event."""
        owners = self.owners
        firsts = np.r_[True, (self.items[1:] != self.items[:-1]) | (owners[1:] != owners[:-1])][: len(self.items)]
        if firsts.all():
            return self
        found = self._where(firsts)
        return replace(found, weights=np.add.reduceat(self.weights, np.flatnonzero(firsts)))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    @property
    def owners(self) -> NDArray[np.int64]:
        """Which history each event is of."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def ages(self) -> NDArray[np.int64]:
        """How many events of its history came after each event."""
        return np.repeat(self.starts[1:], self.lengths) - 1 - np.arange(len(self.items))

    def take(self, rows: NDArray[Any]) -> Past:
        """Some of the histories, in a given order."""
        lengths = self.lengths[rows]
        starts = np.r_[0, np.cumsum(lengths)]
        at = np.repeat(self.starts[rows] - starts[:-1], lengths) + np.arange(starts[-1])
        return Past(self.items[at], starts, self.weights[at], self.times[at])

    def last(self, most: int) -> Past:
        """The end of each history."""
        return self._where(self.ages < most)

    def until(self, ends: NDArray[np.int64]) -> Past:
        """The first `ends[i]` events of each history i."""
        return self._where(np.arange(len(self.items)) < np.repeat(self.starts[:-1] + ends, self.lengths))

    def _where(self, kept: NDArray[np.bool_]) -> Past:
        starts = np.r_[0, np.cumsum(kept)][self.starts].astype(np.int64)
        return Past(self.items[kept], starts, self.weights[kept], self.times[kept])

    def padded(self, length: int) -> Ints:
        """The ends of the histories as rows, shape (histories, length), oldest first; -1 behind a shorter one."""
        ends = self.last(length)
        table = np.full((len(self), length), -1, np.int32)
        table[ends.owners, np.arange(len(ends.items)) - ends.starts[ends.owners]] = ends.items
        return table

    def pieces(self, length: int) -> Ints:
        """The whole histories as rows of `padded`, from their ends back; shape (pieces, length).

        A piece ends with the event that the next one starts with, so that every event but a history's first comes
        after another in one piece.
        """
        ends, tables = self.lengths, [np.zeros((0, length), np.int32)]
        while len(longer := np.flatnonzero(ends > 1)):
            tables.append(self.take(longer).until(ends[longer]).padded(length))
            ends = ends - (length - 1)
        return np.concatenate(tables)


@dataclass(frozen=True)
class Met:
    """Each candidate beside each of the last events of its user: what similarities are looked up for.

    Attributes:
        pairs: number of candidates.
        rows: which candidate each meeting is of, ascending.
        before: the past item; `candidates`: the candidate; `ages`: events between the past item and the end.
    """

    pairs: int
    rows: NDArray[np.int64]
    before: Ints
    candidates: Ints
    ages: NDArray[np.int64]

    @classmethod
    def of(cls, past: Past, owners: NDArray[Any], candidates: Ints, most: int) -> Met:
        """Candidate i is weighed for history `owners[i]`, by its last `most` events."""
        ends = past.last(most).take(owners)
        return cls(len(candidates), ends.owners, ends.items, np.repeat(candidates, ends.lengths), ends.ages)

    def total(self, values: Floats, weights: Floats | None = None) -> Floats:
        """Sum of the meetings' values for each candidate."""
        weighed = values if weights is None else values * weights
        return np.asarray(np.bincount(self.rows, weighed, minlength=self.pairs), np.float32)

    def mean(self, values: Floats) -> Floats:
        counts = np.maximum(np.bincount(self.rows, minlength=self.pairs), 1)
        return np.asarray(self.total(values) / counts, np.float32)

    def largest(self, values: Floats) -> Floats:
        """The largest value of each candidate; 0 where the user has no past."""
        found = np.zeros(self.pairs, np.float32)
        if len(values):
            firsts = np.flatnonzero(np.r_[True, self.rows[1:] != self.rows[:-1]])
            found[self.rows[firsts]] = np.maximum.reduceat(values, firsts)
        return found


def seconds(column: Any) -> NDArray[np.float64]:
    """Times as seconds since 1970, NaN where missing."""
    found: NDArray[np.float64] = column.dt.tz_convert(None).to_numpy("datetime64[ns]").astype(np.float64) / 1e9
    found[column.isna().to_numpy()] = np.nan
    return found
