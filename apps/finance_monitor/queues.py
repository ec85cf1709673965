"""Queues: which change of an alert each sink is told next, and how many it waits for."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Select, exists, func, select

from apps.finance_monitor import hearing, tables, undelivered
from apps.finance_monitor.sinks import Sink
from apps.finance_monitor.sinks.escalation import Escalation, Moment, Moments
from engine.db import Database


@dataclass(frozen=True)
class Due:
    """The next change for a sink.

    Attributes:
        told: how far the sink has been told once it has this one.
        why: it is escalated.
    """

    told: int
    number: int
    message: str
    data: str
    why: str | None = None


class Queue(Protocol):
    def next(self, connection: Connection, told: int, clock: datetime | None) -> Due | None:
        """The change that follows; None: the sink knows all.

        Args:
            told: how far it was told.
            clock: event time up to which this transaction sees all changes.
        """
        ...

    def left(self, connection: Connection, told: int, clock: datetime | None) -> int:
        """Changes that it was not told yet."""
        ...

    def again(self, connection: Connection, told: int, number: int, clock: datetime | None) -> Due:
        """The change of that number once more, as it was sent."""
        ...


class All(Queue):
    """Every change that is heard, once: a sink is told up to a place in the notes of them."""

    def next(self, connection: Connection, told: int, clock: datetime | None) -> Due | None:
        row = connection.execute(_news(told).order_by(tables.heard.c.place).limit(1)).one_or_none()
        return _change(connection, row.number, told=row.place) if row else None

    def left(self, connection: Connection, told: int, clock: datetime | None) -> int:
        return int(connection.execute(select(func.count()).select_from(_news(told).subquery())).scalar_one())

    def again(self, connection: Connection, told: int, number: int, clock: datetime | None) -> Due:
        return _change(connection, number, told=told)


class Escalated(Queue):
    """Those of alerts that were escalated: a sink is told so many of them. Threads may share it."""

    def __init__(self, after: timedelta) -> None:
        self._moments = Moments(after)
        self._lock = threading.Lock()

    def next(self, connection: Connection, told: int, clock: datetime | None) -> Due | None:
        found = self._look(connection, clock)
        if told >= len(found):
            return None
        return _change(connection, found[told].number, told=told + 1, why=found[told].why)

    def left(self, connection: Connection, told: int, clock: datetime | None) -> int:
        return len(self._look(connection, clock)) - told

    def again(self, connection: Connection, told: int, number: int, clock: datetime | None) -> Due:
        why = next((one.why for one in self._look(connection, clock) if one.number == number), None)
        return _change(connection, number, told=told, why=why)

    def _look(self, connection: Connection, clock: datetime | None) -> Sequence[Moment]:
        with self._lock:
            self._moments.see(hearing.after(connection, self._moments.seen), clock)
            return self._moments.found


def queues(sinks: Sequence[Sink]) -> dict[str, Queue]:
    """The queue of each sink, by its name."""
    return {sink.name: Escalated(sink.after) if isinstance(sink, Escalation) else All() for sink in sinks}


def waiting(database: Database, queues: Mapping[str, Queue], clock: datetime | None) -> dict[str, int]:
    """Sink -> changes that it has not been told yet.

    Args:
        clock: event time up to which all changes are in the database.
    """
    with database.read() as connection:
        told = {row.sink: row.number for row in connection.execute(select(tables.deliveries))}
        again = undelivered.counts(connection, again=True)
        return {
            name: queue.left(connection, told.get(name, 0), clock) + again.get(name, 0)
            for name, queue in queues.items()
        }


def _news(told: int) -> Select[Any]:
    """What is heard behind that place, and was not before."""
    heard, before = tables.heard, tables.heard.alias()
    known = exists().where(
        before.c.number == heard.c.number, before.c.place < heard.c.place, before.c.silence.is_(None)
    )
    return select(heard.c.place, heard.c.number).where(heard.c.place > told, heard.c.silence.is_(None), ~known)


def _change(connection: Connection, number: int, *, told: int, why: str | None = None) -> Due:
    row = connection.execute(select(tables.changes).where(tables.changes.c.number == number)).one()
    return Due(told, number, f"{row.alert}-{row.revision}", row.data, why)
