"""Queues: which change of an alert each sink is told next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, func, select

from apps.finance_monitor import tables
from apps.finance_monitor.sinks.escalation import Moments


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
    def next(self, connection: Connection, told: int) -> Due | None:
        """The change that follows; None: the sink knows all.

        Args:
            told: how far it was told.
        """
        ...

    def left(self, connection: Connection, told: int) -> int:
        """Changes that it was not told yet."""
        ...


class All(Queue):
    """Every change, one after the other: a sink is told up to the number of one."""

    def next(self, connection: Connection, told: int) -> Due | None:
        return _change(connection, tables.changes.c.number > told)

    def left(self, connection: Connection, told: int) -> int:
        numbers = select(func.count()).where(tables.changes.c.number > told)
        return int(connection.execute(numbers).scalar_one())


class Escalated(Queue):
    """Those of alerts that were escalated: a sink is told so many of them.

    Args:
        clock: gives the event time up to which all changes are in the journal.
    """

    def __init__(self, after: timedelta, clock: Callable[[], datetime | None]) -> None:
        self._moments = Moments(after)
        self._clock = clock

    def next(self, connection: Connection, told: int) -> Due | None:
        self._look(connection)
        if told >= len(self._moments.found):
            return None
        moment = self._moments.found[told]
        return _change(connection, tables.changes.c.number == moment.number, told=told + 1, why=moment.why)

    def left(self, connection: Connection, told: int) -> int:
        self._look(connection)
        return len(self._moments.found) - told

    def _look(self, connection: Connection) -> None:
        clock = self._clock()  # first: what lies before it can be read
        number = tables.changes.c.number
        new = select(number, tables.changes.c.data).where(number > self._moments.seen).order_by(number)
        self._moments.see(((row.number, row.data) for row in connection.execute(new)), clock)


def _change(
    connection: Connection, where: ColumnElement[bool], *, told: int | None = None, why: str | None = None
) -> Due | None:
    changes = tables.changes
    row = connection.execute(select(changes).where(where).order_by(changes.c.number).limit(1)).one_or_none()
    if row is None:
        return None
    return Due(told or row.number, row.number, f"{row.alert}-{row.revision}", row.data, why)
