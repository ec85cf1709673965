"""Events: what users did, in order; a history is what one of them had done before a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.errors import DataError, InputError

COLUMNS = ("user_id", "item_id", "event", "weight", "datetime")
DEFAULT_EVENT = "click"


class Event(NamedTuple):
    item_id: str
    event: str = DEFAULT_EVENT
    weight: float = 1.0
    time: datetime | None = None


History = tuple[Event, ...]
"""Oldest first."""


@dataclass(frozen=True)
class Events:
    """Events sorted by user and time; where there are no times, a user's rows stand in their order.

    Attributes:
        frame: user_id, item_id, event (texts), weight (float), datetime (UTC; missing where only the order is known).
    """

    frame: pd.DataFrame

    @classmethod
    def of(cls, frame: pd.DataFrame, *, name: str = "events") -> Events:
        """The checked events of a table; `event` and `weight` have defaults, `datetime` may be left out.

        Raises:
            DataError: a column is missing, or a row holds what it should not.
        """
        for column in ("user_id", "item_id"):
            if column not in frame:
                raise DataError(
                    f"{name}: no column {column!r}; it has {', '.join(map(str, frame.columns))}; rename one"
                )
        found = pd.DataFrame({"user_id": frame["user_id"], "item_id": frame["item_id"]}).reset_index(drop=True)
        for column in ("user_id", "item_id"):
            bad = np.asarray(found[column].isna() | (found[column].astype(str).str.strip() == ""))
            if bad.any():
                raise DataError(f"{name}, row {_row(bad)}, field {column!r}: empty; every event needs one")
            found[column] = found[column].astype(str).astype(object)
        found["event"] = _column(frame, "event", DEFAULT_EVENT).astype(str).astype(object)
        weights = pd.to_numeric(_column(frame, "weight", 1.0), errors="coerce").astype(np.float64)
        if (bad := ~np.isfinite(weights.to_numpy())).any():
            raise DataError(
                f"{name}, row {_row(bad)}, field 'weight': no finite number; give one, or leave the column out"
            )
        found["weight"] = weights
        given = _column(frame, "datetime", None)
        times = pd.to_datetime(given, utc=True, errors="coerce", format="ISO8601" if given.dtype == object else None)
        if given.notna().any() and (bad := np.asarray(times.isna())).any():
            raise DataError(
                f"{name}, row {_row(bad)}, field 'datetime': {given.iloc[_row(bad) - 1]!r} is no time; write RFC 3339, "
                "as 2026-03-02T08:15:00Z, or leave the column out where only the order is known"
            )
        found["datetime"] = times
        keys = ["user_id", "datetime"] if times.notna().all() else ["user_id"]
        return cls(found.sort_values(keys, kind="stable", ignore_index=True))

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def timed(self) -> bool:
        return bool(len(self.frame)) and bool(self.frame["datetime"].notna().all())

    def before(self, as_of: datetime) -> Events:
        """What had happened before a moment.

        Raises:
            InputError: these events have no times.
        """
        if not self.timed:
            raise InputError("these events have no times; a moment cannot cut them, leave the last of each user out")
        return Events(self.frame[self.frame["datetime"] < pd.Timestamp(as_of)].reset_index(drop=True))

    def history(self, user_id: str) -> History:
        """What a user did, oldest first; empty for a user nobody knows."""
        first, last = self._spans.get(user_id, (0, 0))
        rows = self.frame.iloc[first:last]
        times: list[Any] = [None if pd.isna(time) else time.to_pydatetime() for time in rows["datetime"]]
        return tuple(map(Event, rows["item_id"], rows["event"], rows["weight"], times))

    @cached_property
    def _spans(self) -> dict[str, tuple[int, int]]:
        users = self.frame["user_id"].to_numpy()
        starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if len(users) else np.zeros(0, np.int64)
        ends = np.r_[starts[1:], len(users)]
        return {users[start]: (int(start), int(end)) for start, end in zip(starts, ends, strict=False)}

    def added(self, more: Events) -> Events:
        """With more events, each behind those its user had."""
        return Events.of(pd.concat([self.frame, more.frame], ignore_index=True))


def _column(frame: pd.DataFrame, name: str, default: Any) -> pd.Series[Any]:
    column = frame[name] if name in frame else pd.Series([default] * len(frame), dtype=object)
    column = column.reset_index(drop=True)
    return column if default is None else column.where(column.notna(), default)


def _row(bad: NDArray[np.bool_]) -> int:
    """The first bad row, counted from 1."""
    return int(np.flatnonzero(bad)[0]) + 1
