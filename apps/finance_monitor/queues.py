"""Queues: which change of an alert each sink is told next, and how many it waits for."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, func, select

from apps.finance_monitor import tables
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


class All(Queue):
    """Every change, one after the other: a sink is told up to the number of one."""

    def next(self, connection: Connection, told: int, clock: datetime | None) -> Due | None:
        return _change(connection, tables.changes.c.number > told)

    def left(self, connection: Connection, told: int, clock: datetime | None) -> int:
        numbers = select(func.count()).where(tables.changes.c.number > told)
        return int(connection.execute(numbers).scalar_one())


class Escalated(Queue):
    """Those of alerts that were escalated: a sink is told so many of them. Threads may share it."""

    def __init__(self, after: timedelta) -> None:
        self._moments = Moments(after)
        self._lock = threading.Lock()

    def next(self, connection: Connection, told: int, clock: datetime | None) -> Due | None:
        found = self._look(connection, clock)
        if told >= len(found):
            return None
        return _change(connection, tables.changes.c.number == found[told].number, told=told + 1, why=found[told].why)

    def left(self, connection: Connection, told: int, clock: datetime | None) -> int:
        return len(self._look(connection, clock)) - told

    def _look(self, connection: Connection, clock: datetime | None) -> Sequence[Moment]:
        number = tables.changes.c.number
        with self._lock:
            new = select(number, tables.changes.c.data).where(number > self._moments.seen).order_by(number)
            self._moments.see(((row.number, row.data) for row in connection.execute(new)), clock)
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
        return {name: queue.left(connection, told.get(name, 0), clock) for name, queue in queues.items()}


def _change(
    connection: Connection, where: ColumnElement[bool], *, told: int | None = None, why: str | None = None
) -> Due | None:
    changes = tables.changes
    row = connection.execute(select(changes).where(where).order_by(changes.c.number).limit(1)).one_or_none()
    if row is None:
        return None
    return Due(told or row.number, row.number, f"{row.alert}-{row.revision}", row.data, why)
