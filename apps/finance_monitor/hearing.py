"""Hearing: whether sinks hear of an alert, noted as it changes, and as a silence begins or ends while it fires.

It is noted in the transaction of the changes, up to the time that the news has reached, and stays as it is: what sinks
are told follows from these notes alone, and no later silence alters what was told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from apps.finance_monitor import tables
from apps.finance_monitor.silences import Silences, hiding


@dataclass(frozen=True)
class Heard:
    """An alert from a time on.

    Attributes:
        place: counts the notes, in order of time.
        number: of the alert's last change.
        data: the alert after it, as JSON.
        silence: what hides the alert; None: sinks hear of it.
    """

    place: int
    number: int
    data: str
    time: datetime
    silence: str | None


def after(connection: Connection, place: int) -> Iterator[Heard]:
    """The notes behind that place."""
    heard, changes = tables.heard, tables.changes
    query = select(heard, changes.c.data).join(changes, changes.c.number == heard.c.number)
    for row in connection.execute(query.where(heard.c.place > place).order_by(heard.c.place)):
        yield _heard(row)


class Hearing:
    """Writes the notes, inside a transaction of a state.

    Args:
        since: event time up to which all is noted; None: nothing is.
    """

    def __init__(self, connection: Connection, since: datetime | None) -> None:
        self._connection = connection
        self._silences = Silences(connection).all()
        self._firing = {json.loads(one.data)["id"]: one for one in self._latest()} if self._silences else {}
        self._time = since

    def take(self, number: int, data: str) -> None:
        """The next change of an alert; changes come before what silences do at the same time.

        The end of an alert goes wherever the alert went: a sink must not hold it firing for ever.
        """
        alert = json.loads(data)
        time = datetime.fromisoformat(alert["updated"])
        if self._time is None or time > self._time:
            self.until(time)
        silence = hiding(self._silences, alert["key"], time)
        if alert["status"] == "resolved" and (earlier := self._of(alert["id"])):
            silence = earlier[-1] if all(earlier) else None
        self._firing[alert["id"]] = self._note(number, data, time, silence)
        if alert["status"] == "resolved":
            del self._firing[alert["id"]]

    def until(self, time: datetime) -> None:
        """What silences do before that time; those that were made or ended too late for the notes, at once."""
        if self._time and self._firing:
            edges = {edge for one in self._silences for edge in one.edges(self._time, time)}
            for edge in sorted({self._time, *edges}):
                self._turn(edge)
        self._time = time

    def _turn(self, time: datetime) -> None:
        for name, one in sorted(self._firing.items(), key=lambda item: item[1].number):
            silence = hiding(self._silences, json.loads(one.data)["key"], time)
            if (silence is None) != (one.silence is None):
                self._firing[name] = self._note(one.number, one.data, time, silence)

    def _note(self, number: int, data: str, time: datetime, silence: str | None) -> Heard:
        insert = tables.heard.insert().values(number=number, time=time.isoformat(), silence=silence)
        place = self._connection.execute(insert.returning(tables.heard.c.place)).scalar_one()
        return Heard(place, number, data, time, silence)

    def _latest(self) -> Iterator[Heard]:
        """Of each alert that fires."""
        heard, changes = tables.heard, tables.changes
        both = heard.join(changes, changes.c.number == heard.c.number)
        last = select(func.max(heard.c.place)).select_from(both).group_by(changes.c.alert)
        query = select(heard, changes.c.data).select_from(both)
        query = query.where(heard.c.place.in_(last), changes.c.status == "firing").order_by(heard.c.place)
        for row in self._connection.execute(query):
            yield _heard(row)

    def _of(self, alert: str) -> list[str | None]:
        """What hid the alert at each of its notes."""
        heard, changes = tables.heard, tables.changes
        query = select(heard.c.silence).join(changes, changes.c.number == heard.c.number)
        return list(self._connection.scalars(query.where(changes.c.alert == alert).order_by(heard.c.place)))


def _heard(row: Row[Any]) -> Heard:
    return Heard(row.place, row.number, row.data, datetime.fromisoformat(row.time), row.silence)
