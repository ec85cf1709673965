"""Inbox: news that is pushed, kept until the monitor has read it.

A line is on disk before its sender is told so. The monitor reads the lines in order, as one more feed, and they are
deleted once what came of them is committed. An item that is sent again while it waits is kept once; later on the
monitor knows it by its id.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import func, select

from apps.finance_monitor import tables
from apps.finance_monitor.items import Bad, NewsItem, parse
from apps.finance_monitor.mapping import Mapping
from engine.db import Database

ROOM = 100_000
"""Lines that may wait."""


class Full(Exception):
    """More lines than there is room for: the sender has to wait."""


@dataclass(frozen=True)
class Verdict:
    """What became of a pushed line."""

    id: str | None
    status: str
    """accepted, or dead letter."""
    reason: str | None = None


@dataclass(frozen=True)
class Waiting:
    """A pushed line.

    Attributes:
        item: the id of the news item on it, which it holds in Keel's own shape; None: it is kept as it came.
    """

    number: int
    line: bytes
    item: str | None


class Inbox:
    """Threads of one process may share it; no other process may write to it.

    Args:
        room: lines that may wait.
        mapping: how items of another shape are read; they are kept in Keel's, whatever the next start's mapping.
    """

    def __init__(self, database: Database, *, room: int = ROOM, mapping: Mapping | None = None) -> None:
        self._database = database
        self._room = room
        self._mapping = mapping
        self._lock = threading.Lock()  # numbers become visible in their order: a reader passes over none

    def put(self, lines: Iterable[bytes]) -> list[Verdict]:
        """Keep lines, all of them or none.

        Raises:
            Full: there is no room for them.
        """
        table = tables.inbox
        now = datetime.now(UTC).replace(microsecond=0)
        judged = [self._judged(line, now) for line in lines]
        with self._lock, self._database.write() as connection:
            waiting = connection.execute(select(func.count()).select_from(table)).scalar_one()
            if waiting + len(judged) > self._room:
                raise Full
            ids = [verdict.id for _, verdict in judged if verdict.id is not None]
            known = set(connection.execute(select(table.c.item).where(table.c.item.in_(ids))).scalars())
            for line, verdict in judged:
                if verdict.id is None or verdict.id not in known:
                    connection.execute(table.insert().values(item=verdict.id, data=line))
                known.add(verdict.id)
        return [verdict for _, verdict in judged]

    def waiting(self, after: int, limit: int) -> list[Waiting]:
        """The next lines."""
        table = tables.inbox
        query = select(table).where(table.c.number > after).order_by(table.c.number).limit(limit)
        with self._database.read() as connection:
            return [Waiting(row.number, bytes(row.data), row.item) for row in connection.execute(query)]

    def read(self, one: Waiting) -> NewsItem:
        """The news item of a line.

        Raises:
            Bad: there is none, as its sender was told.
        """
        return parse(one.line, self._mapping.item if self._mapping and one.item is None else None)

    def forget(self, up_to: int) -> None:
        """Delete what was read and committed."""
        with self._database.write() as connection:
            connection.execute(tables.inbox.delete().where(tables.inbox.c.number <= up_to))

    def _judged(self, line: bytes, now: datetime) -> tuple[bytes, Verdict]:
        """The line as it is kept, with its time of receipt, and what becomes of it."""
        try:
            line = _mapped(line, self._mapping, now) if self._mapping else _received(line, now)
            return line, Verdict(parse(line).id, "accepted")
        except Bad as fault:
            return line, Verdict(None, "dead letter", str(fault))


def _mapped(line: bytes, mapping: Mapping, now: datetime) -> bytes:
    found = parse(line, mapping.item)
    told = found.received != found.published
    return json.dumps((found if told else replace(found, received=now)).as_dict(), ensure_ascii=False).encode()


def _received(line: bytes, now: datetime) -> bytes:
    """The line with its time of receipt, unless it tells one: a publisher's clock is measured by it."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(values, dict) or values.get("received"):
        return line
    return json.dumps({**values, "received": now.isoformat()}).encode()
