"""Inbox: news that is pushed, kept until the monitor has read it.

A line is on disk before its sender is told so. The monitor reads the lines in order, as one more feed, and they are
deleted once what came of them is committed. An item that is sent again while it waits is kept once; later on the
monitor knows it by its id.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select

from apps.finance_monitor import tables
from apps.finance_monitor.items import Bad, parse
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


class Inbox:
    """Threads of one process may share it; no other process may write to it.

    Args:
        room: lines that may wait.
    """

    def __init__(self, database: Database, *, room: int = ROOM) -> None:
        self._database = database
        self._room = room
        self._lock = threading.Lock()  # numbers become visible in their order: a reader passes over none

    def put(self, lines: Iterable[bytes]) -> list[Verdict]:
        """Keep lines, all of them or none.

        Raises:
            Full: there is no room for them.
        """
        table = tables.inbox
        now = datetime.now(UTC).isoformat(timespec="seconds")
        judged = [(line, _judge(line)) for line in (_received(line, now) for line in lines)]
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

    def waiting(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next lines with their numbers."""
        table = tables.inbox
        query = select(table).where(table.c.number > after).order_by(table.c.number).limit(limit)
        with self._database.read() as connection:
            return [(row.number, bytes(row.data)) for row in connection.execute(query)]

    def forget(self, up_to: int) -> None:
        """Delete what was read and committed."""
        with self._database.write() as connection:
            connection.execute(tables.inbox.delete().where(tables.inbox.c.number <= up_to))


def _received(line: bytes, now: str) -> bytes:
    """The line with its time of receipt, unless it tells one: a publisher's clock is measured by it."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(values, dict) or values.get("received"):
        return line
    return json.dumps({**values, "received": now}).encode()


def _judge(line: bytes) -> Verdict:
    try:
        return Verdict(parse(line).id, "accepted")
    except Bad as fault:
        return Verdict(None, "dead letter", str(fault))
