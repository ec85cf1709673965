"""Change log: what became of each alert, read back from the journal's database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from apps.finance_monitor import tables


@dataclass(frozen=True)
class Told:
    """A change of an alert."""

    number: int
    alert: dict[str, Any]
    """As its `as_dict` gave it."""
    silence: str | None
    """What hides it from the sinks; None: they are told of it."""

    @property
    def time(self) -> datetime:
        """Event time of the change."""
        return changed(self.alert)

    def as_dict(self) -> dict[str, Any]:
        return {**self.alert, "change": self.number, "silence": self.silence}


def changed(alert: dict[str, Any]) -> datetime:
    """When an alert last changed, in event time."""
    return datetime.fromisoformat(alert["closed"] or alert.get("updated") or alert["opened"])


def latest(connection: Connection, status: str | None = None) -> Iterator[Told]:
    """Every alert as it is now, the one that changed last first."""
    changes = tables.changes
    last = select(func.max(changes.c.number)).group_by(changes.c.alert)
    query = _changes().where(changes.c.number.in_(last)).order_by(changes.c.number.desc())
    for row in connection.execute(query if status is None else query.where(changes.c.status == status)):
        yield _told(row)


def of(connection: Connection, alert: str) -> list[Told]:
    """All changes of one alert, in order; none where there is no such alert."""
    changes = tables.changes
    query = _changes().where(changes.c.alert == alert).order_by(changes.c.number)
    return [_told(row) for row in connection.execute(query)]


def after(connection: Connection, number: int, limit: int) -> list[Told]:
    """The next changes behind that number."""
    changes = tables.changes
    query = _changes().where(changes.c.number > number).order_by(changes.c.number).limit(limit)
    return [_told(row) for row in connection.execute(query)]


def last(connection: Connection) -> int:
    """Number of the newest change; 0 before the first."""
    return connection.execute(select(func.max(tables.changes.c.number))).scalar_one() or 0


def _changes() -> Select[Any]:
    changes, heard = tables.changes, tables.heard
    silence = select(heard.c.silence).where(heard.c.number == changes.c.number)
    silence = silence.order_by(heard.c.silence.is_not(None), heard.c.place).limit(1)  # told later is told
    return select(changes, silence.scalar_subquery().label("silence"))


def _told(row: Row[Any]) -> Told:
    return Told(row.number, json.loads(row.data), row.silence)
