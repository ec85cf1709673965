"""Undelivered: changes that a sink was given up for, and those among them that it is to be told after all."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, exists, func, select

from apps.finance_monitor import tables


@dataclass(frozen=True)
class Undelivered:
    """A change that a sink did not take.

    Attributes:
        overtaken: a later change of the alert tells the sink how it is.
    """

    sink: str
    number: int
    message: str
    reason: str
    overtaken: bool


def counts(connection: Connection, *, again: bool = False) -> dict[str, int]:
    """Sink -> changes that it was given up for; or those of them that wait to be sent again."""
    table = tables.undelivered
    query = select(table.c.sink, func.count().label("changes")).where(table.c.again == again).group_by(table.c.sink)
    return {row.sink: row.changes for row in connection.execute(query.order_by(table.c.sink))}


def first(connection: Connection, sink: str) -> int | None:
    """Number of the change that the sink is to be sent again next."""
    table = tables.undelivered
    found: int | None = connection.scalar(select(func.min(table.c.number)).where(table.c.sink == sink, table.c.again))
    return found


def send_again(connection: Connection) -> list[Undelivered]:
    """Have the outbox send what was given up, before all else and at once; what was overtaken is given up for good."""
    table, deliveries = tables.undelivered, tables.deliveries
    found = _given_up(connection)
    for one in found:
        mine = (table.c.sink == one.sink, table.c.number == one.number)
        connection.execute(
            table.delete().where(*mine) if one.overtaken else table.update().where(*mine).values(again=True)
        )
        connection.execute(deliveries.update().where(deliveries.c.sink == one.sink).values(attempts=0, due=0.0))
    return found


def settle(connection: Connection, sink: str, number: int, reason: str | None) -> None:
    """The sink was told of a change, or is given up for the reason."""
    table = tables.undelivered
    connection.execute(table.delete().where(table.c.sink == sink, table.c.number == number))
    if reason is not None:
        connection.execute(table.insert().values(sink=sink, number=number, reason=reason, again=False))


def _given_up(connection: Connection) -> list[Undelivered]:
    table, changes, heard = tables.undelivered, tables.changes, tables.heard
    later = changes.alias()
    overtaken = exists().where(
        later.c.alert == changes.c.alert,
        later.c.number > changes.c.number,
        heard.c.number == later.c.number,
        heard.c.silence.is_(None),
    )
    query = (
        select(
            table.c.sink, table.c.number, table.c.reason, changes.c.alert, changes.c.revision, overtaken.label("late")
        )
        .join(changes, changes.c.number == table.c.number)
        .where(~table.c.again)
        .order_by(table.c.sink, table.c.number)
    )
    return [
        Undelivered(row.sink, row.number, f"{row.alert}-{row.revision}", row.reason, bool(row.late))
        for row in connection.execute(query)
    ]
