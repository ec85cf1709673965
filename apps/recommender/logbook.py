"""Logbook: what a tenant's users did, items that were put, and lists that were answered; on disk before it is answered.

The models' memory is a cache of it: `since` tells them what came after what they have.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import JSON, Connection, delete, event, func, insert, select, update

from apps.recommender import tables
from engine.db import Database

Kind = Literal["interaction", "item", "user", "forgotten"]
"""forgotten: all that was told of the subject before is gone; models pass over what they learnt of it."""
PART = 5000
"""Rows that are read at once."""


@dataclass(frozen=True)
class Entry:
    """One thing that was told.

    Attributes:
        subject: the user of an interaction; else the user or item that `data` holds the fields of.
        data: of an interaction its item, event, weight and, where known, list; consent is false where it is for the
            user's own lists alone.
        id: of the caller; told again, it is passed over.
    """

    kind: Kind
    subject: str
    data: Mapping[str, Any]
    time: datetime
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Shown:
    """A list that was answered.

    Attributes:
        items, scores, propensities: from the top; a propensity is of a place's choice given those above.
        candidates: what it was chosen from.
        model: NAME@NUMBER.
    """

    id: str
    user: str
    time: datetime
    model: str
    items: tuple[str, ...]
    scores: tuple[float, ...]
    propensities: tuple[float, ...]
    candidates: tuple[str, ...]
    session: str = ""


class Logbook:
    """One tenant's. Threads may share it.

    Args:
        lists: the same database for `show`, as `hasty` opens it; by default `database` itself.
    """

    def __init__(self, database: Database, tenant: str, lists: Database | None = None) -> None:
        self.database, self.tenant = database, tenant
        self._lists = lists or database
        self._turn = threading.Lock()
        self._server = database.engine.dialect.name == "postgresql"

    def add(self, entries: Sequence[Entry]) -> int:
        """Write all of them or none; the number of those whose id had not been told before."""
        with self.database.write() as connection:
            return self._add(connection, entries)

    def _add(self, connection: Connection, entries: Sequence[Entry]) -> int:
        table = tables.entries
        last = self._counted(connection, len(entries))
        asked = select(table.c.id).where(table.c.tenant == self.tenant, table.c.id.in_([one.id for one in entries]))
        known = set(connection.execute(asked).scalars())
        new: dict[str, Entry] = {}
        for one in entries:
            if one.id not in known:
                new.setdefault(one.id, one)
        rows = [
            {
                "tenant": self.tenant,
                "number": last - len(entries) + number,
                "id": one.id,
                "kind": one.kind,
                "subject": one.subject,
                "time": stamp(one.time),
                "data": json.dumps(one.data, ensure_ascii=False),
            }
            for number, one in enumerate(new.values(), 1)
        ]
        if rows:
            connection.execute(insert(table), rows)
        return len(rows)

    def _counted(self, connection: Connection, more: int) -> int:
        """The counter raised; its row stays locked until these entries are written, so that none appears behind one
        with a higher number."""
        table = tables.counters
        mine = table.c.tenant == self.tenant
        if not connection.execute(update(table).where(mine).values(number=table.c.number + more)).rowcount:
            connection.execute(insert(table), {"tenant": self.tenant, "number": more})
        return int(connection.execute(select(table.c.number).where(mine)).scalar_one())

    def forget(self, user: str) -> int:
        """Erase what a user did and told and the lists that they were shown; how many rows that were."""
        entries, lists = tables.entries, tables.lists
        whose = (
            lists.c.data.cast(JSON)["user"].as_string() if self._server else func.json_extract(lists.c.data, "$.user")
        )
        with self.database.write() as connection:
            mine = (
                entries.c.tenant == self.tenant,
                entries.c.subject == user,
                entries.c.kind.in_(("interaction", "user")),
            )
            gone = connection.execute(delete(entries).where(*mine)).rowcount
            gone += connection.execute(delete(lists).where(lists.c.tenant == self.tenant, whose == user)).rowcount
            self._add(connection, [Entry("forgotten", user, {}, datetime.now(UTC))])
        return gone

    def last(self) -> int:
        """The number of the last entry; 0: there is none."""
        with self.database.read() as connection:
            found = connection.execute(
                select(tables.counters.c.number).where(tables.counters.c.tenant == self.tenant)
            ).scalar()
        return found or 0

    def since(self, number: int) -> Iterator[tuple[int, Entry]]:
        """Entries with higher numbers, in order."""
        table = tables.entries
        asked = select(table).where(table.c.tenant == self.tenant, table.c.number > number).order_by(table.c.number)
        with self.database.read() as connection:
            for row in connection.execute(asked.execution_options(yield_per=PART)):
                time = datetime.fromisoformat(row.time)
                yield row.number, Entry(row.kind, row.subject, json.loads(row.data), time, row.id)

    def show(self, shown: Shown) -> None:
        """Write a list down; one of the same id is replaced, as it was answered again."""
        table = tables.lists
        data = {name: value for name, value in vars(shown).items() if name not in ("id", "time")}
        row = {"tenant": self.tenant, "id": shown.id, "time": stamp(shown.time), "data": json.dumps(data)}
        # SQLite lets a writer that finds another one sleep; those of this process take turns instead.
        with self._turn, self._lists.write() as connection:
            connection.execute(delete(table).where(table.c.tenant == self.tenant, table.c.id == shown.id))
            connection.execute(insert(table), row)

    def shown(self) -> Iterator[Shown]:
        """Lists in order of time."""
        table = tables.lists
        asked = select(table).where(table.c.tenant == self.tenant).order_by(table.c.time, table.c.id)
        with self.database.read() as connection:
            for row in connection.execute(asked.execution_options(yield_per=PART)):
                given: dict[str, Any] = {
                    name: tuple(value) if isinstance(value, list) else value
                    for name, value in json.loads(row.data).items()
                }
                yield Shown(id=row.id, time=datetime.fromisoformat(row.time), **given)


def hasty(database: Database) -> Database:
    """The same database, for lists: what it writes outlives the process at once, but the power only a moment later.

    A list is written before each answer, and waiting for the disk would cost more than ranking does.
    """
    if database.engine.dialect.name != "sqlite" or not database.engine.url.database:
        return database
    found = tables.opened(database.engine.url.render_as_string(hide_password=False))
    found.close()  # connections from here on
    event.listen(found.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=NORMAL"))
    return found


def stamp(time: datetime) -> str:
    """A text that sorts as the times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")
