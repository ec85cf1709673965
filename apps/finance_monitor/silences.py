"""Silences: spans of time in which alerts of a key reach no sink; they stay in the log, marked.

What counts is event time, so that what a silence hides does not hang on when it was read. What still fires at its end
is told then.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from apps.finance_monitor import tables
from apps.finance_monitor.series import rfc3339
from engine.errors import InputError

WEEK = timedelta(days=7)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TYPES = ("topic", "company", "all")
_WEEKLY = re.compile(rf"({'|'.join(DAYS)}) ([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True)
class Silence:
    """Hides changes of one key, or of every key where its type and value are "*"."""

    id: str
    key_type: str
    key_value: str
    starts: datetime
    ends: datetime | None
    """None: until somebody ends it."""
    weekly: str | None
    """A maintenance window within that time, in UTC: "sat 22:00-04:00"; an end before its start is the next day's."""
    reason: str
    author: str
    made: datetime

    def hides(self, key: dict[str, str], time: datetime) -> bool:
        """Whether it covers the key at that time."""
        mine = (self.key_type, self.key_value) in (("*", "*"), (key["type"], key["value"]))
        return mine and self.starts <= time and (self.ends is None or time < self.ends) and self._in_window(time)

    def edges(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Times from `start` to before `end` at which it may begin or end to hide."""
        found = [self.starts] if self.ends is None else [self.starts, self.ends]
        if self.weekly is not None:
            length = _window(self.weekly)[1]
            begin = start - self._since_window(start)
            while begin < end:
                found += [begin, begin + length]
                begin += WEEK
        yield from (time for time in found if start <= time < end)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "key": {"type": self.key_type, "value": self.key_value},
            "starts": rfc3339(self.starts),
            "ends": rfc3339(self.ends) if self.ends else None,
            "weekly": self.weekly,
            "reason": self.reason,
            "author": self.author,
            "made": rfc3339(self.made),
        }

    def told(self) -> str:
        """One line for people."""
        what = "every key" if self.key_type == "*" else f"{self.key_type}:{self.key_value}"
        until = f" until {rfc3339(self.ends)}" if self.ends else ""
        window = f", {self.weekly} UTC" if self.weekly else ""
        why = ", ".join(filter(None, (self.reason, self.author)))
        return f"{what} from {rfc3339(self.starts)}{until}{window}" + (f" ({why})" if why else "")

    def _in_window(self, time: datetime) -> bool:
        return self.weekly is None or self._since_window(time) < _window(self.weekly)[1]

    def _since_window(self, time: datetime) -> timedelta:
        """Since its weekly window began last."""
        begins, _ = _window(self.weekly or "")
        time = time.astimezone(UTC)
        midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
        return (time - midnight + timedelta(days=time.weekday()) - begins) % WEEK


class Silences:
    """The silences of one state, inside a transaction of it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        key: str,
        starts: datetime,
        ends: datetime | None,
        *,
        weekly: str | None = None,
        reason: str = "",
        author: str = "",
    ) -> Silence:
        """Make one.

        Args:
            key: "topic:cyber", "company:Brackwater Savings", "all:all", or "*" for every key.

        Raises:
            InputError: the key is none, it ends before it starts, or the weekly window is none.
        """
        kind, value = parsed(key)
        if ends is not None and ends <= starts:
            raise InputError(f"a silence from {rfc3339(starts)} to {rfc3339(ends)} is over before it starts")
        if weekly is not None:
            weekly = weekly.lower()
            _window(weekly)
        made = datetime.now(UTC)
        one = Silence(secrets.token_hex(8), kind, value, starts, ends, weekly, reason, author, made)
        times = {"starts": rfc3339(starts), "ends": rfc3339(ends) if ends else None, "made": rfc3339(made)}
        self._connection.execute(tables.silences.insert().values({**vars(one), **times}))
        return one

    def all(self) -> list[Silence]:
        """The newest first."""
        table = tables.silences
        query = select(table).order_by(table.c.made.desc(), table.c.starts.desc(), table.c.id)
        return [_silence(row) for row in self._connection.execute(query)]

    def end(self, id: str, now: datetime) -> Silence:
        """Let it hide nothing from now on.

        Raises:
            InputError: there is no such silence, or it is over.
        """
        table = tables.silences
        row = self._connection.execute(select(table).where(table.c.id == id)).one_or_none()
        if row is None:
            raise InputError(f"no silence {id}; see: finance-monitor silence list")
        one = _silence(row)
        if one.ends is not None and one.ends <= now:
            raise InputError(f"silence {id} is over since {rfc3339(one.ends)}")
        self._connection.execute(table.update().where(table.c.id == id).values(ends=rfc3339(now)))
        return replace(one, ends=now)

    def hides(self, alert: dict[str, Any], at: datetime) -> str | None:
        """Id of the silence that hides an alert at that time."""
        return hiding(self.all(), alert["key"], at)


def hiding(silences: Sequence[Silence], key: dict[str, str], time: datetime) -> str | None:
    """Id of the first of them that hides the key at that time."""
    return next((one.id for one in silences if one.hides(key, time)), None)


def parsed(key: str) -> tuple[str, str]:
    """Type and value of a key as people write it.

    Raises:
        InputError: it is none.
    """
    if key == "*":
        return "*", "*"
    kind, _, value = key.partition(":")
    if kind not in TYPES or not value.strip():
        raise InputError(f"key {key!r}: write topic:NAME, company:NAME, all:all, or * for every key")
    return kind, value.strip()


def _window(weekly: str) -> tuple[timedelta, timedelta]:
    """Start of a weekly window, counted from Monday 00:00 UTC, and its length."""
    found = _WEEKLY.fullmatch(weekly)
    if not found:
        raise InputError(f"weekly {weekly!r}: write a day and two times in UTC, such as 'sat 22:00-04:00'")
    day, *clock = found.groups()
    hour, minute, to_hour, to_minute = map(int, clock)
    begins = timedelta(days=DAYS.index(day), hours=hour, minutes=minute)
    length = (timedelta(hours=to_hour, minutes=to_minute) - timedelta(hours=hour, minutes=minute)) % timedelta(days=1)
    return begins, length or timedelta(days=1)


def _silence(row: Row[Any]) -> Silence:
    ends = datetime.fromisoformat(row.ends) if row.ends else None
    starts, made = datetime.fromisoformat(row.starts), datetime.fromisoformat(row.made)
    return Silence(row.id, row.key_type, row.key_value, starts, ends, row.weekly, row.reason, row.author, made)
