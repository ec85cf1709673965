"""Journal: what a monitor has read and raised, so that a restart goes on where it was, exactly.

Each chunk of entries is one transaction: how far the feeds were read, its items with their labels, its dead letters and
the changes of alerts that came of it. Windows, stories and baseline are no more than what those items made of them:
they are kept now and then, and the items since are taken again, with the labels that they were given. What was not
committed is read again from the feed; it comes to the same, as labels and alerts depend on the items alone.

Items that were read long before the kept state are needed by nobody but those who check old alerts, and by newer code
that makes a state of its own of them: after some months of the feed's own time they are deleted.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import logging
import pickle  # nosec B403  # what is read back names no class but those that _Loader knows
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from sqlalchemy import Connection, func, select

from apps.finance_monitor import changelog, charts, tables, undelivered
from apps.finance_monitor.arrivals import Arrivals
from apps.finance_monitor.hearing import Hearing
from apps.finance_monitor.items import DeadLetter, NewsItem
from apps.finance_monitor.labels import Label, Labelled
from apps.finance_monitor.monitor import Monitor
from apps.finance_monitor.series import Point
from apps.finance_monitor.towards import Towards
from engine.errors import InputError

KEPT_EVERY = 500
"""Items after which the state is kept again: a restart takes at most so many once more."""
KEEP_ITEMS = timedelta(days=90)
"""Event time for which items are kept: three times what the baseline's longest memory weighs on average."""
_MARK_EVERY = timedelta(hours=24)
_LOG = logging.getLogger(__name__)

_BUSY = "--state {}: another monitor is writing it; stop it, or name another"
_PARTS = {("builtins", "set"), ("collections", "Counter"), ("collections", "defaultdict"), ("collections", "deque")}
_PARTS |= {("datetime", name) for name in ("datetime", "timedelta", "timezone")}
_PARTS |= {("numpy", name) for name in ("_reconstruct", "_frombuffer", "ndarray", "dtype", "scalar")}


@dataclass
class State:
    """All that depends on what came before."""

    arrivals: Arrivals
    monitor: Monitor
    marks: deque[tuple[datetime, int]] = field(default_factory=deque)
    """Once a day of event time: when, and the number of the last item by then."""


@dataclass(frozen=True)
class Change:
    """An alert that opened, changed or ended."""

    alert: str
    revision: int
    status: str
    line: str
    """The alert at that moment, one JSON object."""


class Journal:
    """The record of one monitor; a second one at the same time is refused.

    Args:
        where: a file, or a database's URL (sqlite:///FILE, postgresql+psycopg://...).
        keep_items: how long items are kept, in event time; None: for ever.

    Raises:
        InputError: it cannot be opened, or another monitor writes it.
    """

    def __init__(self, where: str, *, keep_items: timedelta | None = KEEP_ITEMS) -> None:
        file = where.removeprefix("sqlite:///")
        self._lock = None if "://" in file else _lock(Path(file))
        self.database = tables.opened(file)
        self._held = self._hold(where) if self.database.engine.dialect.name == "postgresql" else None
        self._keep_items = keep_items
        self._items = 0
        self._kept = 0
        self._heard: datetime | None = None
        """Event time up to which it is noted whether sinks hear of alerts."""

    def close(self) -> None:
        if self._held:
            self._held.close()
        self.database.close()
        if self._lock:
            self._lock.close()

    def position(self, feed: str) -> str | None:
        """The cursor where reading goes on; None: the feed was not read before."""
        query = select(tables.feeds.c.position).where(tables.feeds.c.feed == feed)
        with self.database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def restore(self, fresh: Callable[[], State]) -> State:
        """The state as it was after the last chunk: the one that was kept, and the items since.

        A state that other code has kept is not trusted: all items that are still there are taken again.
        """
        with self.database.read() as connection:
            kept = connection.execute(select(tables.states).where(tables.states.c.code == _code())).one_or_none()
            state = _Loader(io.BytesIO(kept.data)).load() if kept else fresh()
            self._items = self._kept = kept.items if kept else 0
            rows = connection.execute(
                select(tables.items).where(tables.items.c.number > self._items).order_by(tables.items.c.number)
            )
            for row in rows:
                if not kept and not self._items and row.number > 1:
                    _LOG.warning(
                        "the state was kept by another version: it is made anew of the items from the %dth on, older "
                        "ones were deleted (--keep-items); what was learnt of them is lost",
                        row.number,
                    )
                for _ in state.monitor.take(state.arrivals.add(_labelled(row.data, row.vector))):
                    pass  # told when it happened
                state.monitor.points.clear()  # and kept
                self._items = row.number
            if not kept:
                self._number(connection, state)
        self._heard = state.monitor.tally.last
        return state

    def write(
        self,
        positions: Mapping[str, str],
        items: Sequence[Labelled],
        dead: Sequence[DeadLetter],
        changes: Sequence[Change],
        state: State,
        points: Sequence[Point] = (),
    ) -> None:
        """Keep what came of a chunk, all of it or nothing.

        Args:
            positions: feed -> the cursor behind what was read of it.
        """
        with self.database.write() as connection:
            for feed, position in positions.items():
                connection.execute(tables.feeds.delete().where(tables.feeds.c.feed == feed))
                connection.execute(tables.feeds.insert().values(feed=feed, position=position))
            if items:
                rows = [{"number": self._items + at, **_row(one)} for at, one in enumerate(items, 1)]
                connection.execute(tables.items.insert(), rows)
            if dead:
                connection.execute(tables.dead.insert(), [{"data": _json(vars(letter))} for letter in dead])
            hearing = Hearing(connection, self._heard)
            for change in changes:
                row = {"alert": change.alert, "revision": change.revision, "status": change.status, "data": change.line}
                insert = tables.changes.insert().values(**row).returning(tables.changes.c.number)
                hearing.take(connection.execute(insert).scalar_one(), change.line)
            if now := state.monitor.tally.last:
                hearing.until(now)
            charts.write(connection, points)
            self._items += len(items)
            if self._items - self._kept >= KEPT_EVERY:
                self._keep(connection, state)
        self._heard = now

    def keep(self, state: State) -> None:
        """Keep the state as it is now, so that the next start takes no item again."""
        with self.database.write() as connection:
            if self._heard:
                Hearing(connection, self._heard).until(self._heard)
            self._keep(connection, state)

    def changes(self) -> Iterator[str]:
        """Lines of all changes of alerts so far, in order."""
        yield from self._lines(tables.changes)

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Id -> alert as it was told last, in order of opening."""
        with self.database.read() as connection:
            told = sorted(
                (one.alert for one in changelog.latest(connection)), key=lambda one: (one["opened"], one["id"])
            )
        return {one["id"]: one for one in told}

    def given_up(self) -> dict[str, int]:
        """Sink -> changes that it refused too often."""
        with self.database.read() as connection:
            return undelivered.counts(connection)

    def dead(self) -> Iterator[str]:
        """Lines of all dead letters so far, in order."""
        yield from self._lines(tables.dead)

    def _hold(self, where: str) -> Connection:
        """The lock of a server's database lasts as long as this connection."""
        held = self.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if not held.execute(select(func.pg_try_advisory_lock(func.hashtext(tables.NAME)))).scalar_one():
            held.close()
            self.database.close()
            raise InputError(_BUSY.format(where))
        return held

    def _lines(self, table: Any) -> Iterator[str]:
        with self.database.read() as connection:
            for row in connection.execute(select(table.c.data).order_by(table.c.number)):
                yield row.data

    def _keep(self, connection: Any, state: State) -> None:
        self._forget(connection, state)
        connection.execute(tables.states.delete())
        row = {"id": 1, "items": self._items, "code": _code(), "data": pickle.dumps(state)}
        connection.execute(tables.states.insert().values(**row))
        self._kept = self._items

    def _number(self, connection: Any, state: State) -> None:
        """Other code may tell of an alert more often or less: its next change is numbered behind what was told."""
        query = select(tables.changes.c.alert, func.max(tables.changes.c.revision)).group_by(tables.changes.c.alert)
        for name, revision in connection.execute(query):
            if alert := state.monitor.alerts.get(name):
                alert.revision = max(alert.revision, revision)

    def _forget(self, connection: Any, state: State) -> None:
        """Delete the items that were there when a mark was set that is old by now."""
        now, marks = state.monitor.tally.last, state.marks
        if now is None or self._keep_items is None:
            return
        if not marks or now - marks[-1][0] >= _MARK_EVERY:
            marks.append((now, self._items))
        last = 0
        while marks[0][0] < now - self._keep_items:
            last = marks.popleft()[1]
        if last:
            connection.execute(tables.items.delete().where(tables.items.c.number <= last))


def _row(one: Labelled) -> dict[str, Any]:
    item = one.item
    data = {
        **item.as_dict(),
        "language": one.language,
        "label": asdict(one.label) if one.label else None,
        "companies": None if one.companies is None else [[each.name, each.sentiment] for each in one.companies],
    }
    vector = None if one.vector is None else one.vector.astype("<f4").tobytes()
    return {"data": _json(data), "vector": vector, "item": item.id}


def _labelled(data: str, vector: bytes | None) -> Labelled:
    values = json.loads(data)
    label, language, companies = values.pop("label"), values.pop("language"), values.pop("companies", None)
    times = {name: datetime.fromisoformat(values.pop(name)) for name in ("published", "received")}
    item = NewsItem(**{**values, **times, "tickers": tuple(values["tickers"])})
    found = Label(**{**label, "topics": tuple(label["topics"])}) if label else None
    towards = None if companies is None else tuple(Towards(*each) for each in companies)
    return Labelled(item, language, found, None if vector is None else np.frombuffer(vector, dtype="<f4"), towards)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


class _Loader(pickle.Unpickler):
    """Reads states, and nothing but what they are made of."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.partition(".")[0], name) in _PARTS:
            return super().find_class(module, name)
        if module.startswith("apps.finance_monitor.") and "." not in name:  # a dotted name goes through its imports
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"a state holds no {module}.{name}")


@cache
def _code() -> str:
    """Hash of this application's code: a state is read by the code that wrote it."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _lock(path: Path) -> TextIO:
    try:
        stream = path.with_name(f"{path.name}.lock").open("w", encoding="utf-8")
    except OSError as fault:
        raise InputError(
            f"--state {path}: cannot be written ({fault.strerror}); name a file in a folder that is there"
        ) from None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise InputError(_BUSY.format(path)) from None
    return stream


def recorded_in(where: str) -> list[Labelled]:
    """All items of a state, in the order that they came in; a monitor may go on writing it.

    Raises:
        InputError: there is no such state, or the first of its items are no longer kept.
    """
    with _reading(where) as connection:
        found = recorded(connection)
    if found is None:
        raise InputError(
            f"--state {where}: no longer holds the first news that it read, and what came later hangs on it; "
            "use: finance-monitor verify ALERT --feed FILE"
        )
    return found


def recorded(connection: Connection) -> list[Labelled] | None:
    """All items, in the order that they came in; None: the first of them are no longer kept."""
    number = tables.items.c.number
    if connection.execute(select(func.min(number))).scalar_one() not in (None, 1):
        return None
    rows = connection.execute(select(tables.items).order_by(number))
    return [_labelled(row.data, row.vector) for row in rows]


def alert_in(where: str, name: str) -> dict[str, Any]:
    """An alert of a state, as it was told last.

    Raises:
        InputError: there is no such state, or no such alert in it.
    """
    changes = tables.changes
    with _reading(where) as connection:
        query = select(changes.c.data).where(changes.c.alert == name).order_by(changes.c.number.desc()).limit(1)
        found = connection.execute(query).scalar_one_or_none()
        known = connection.execute(select(changes.c.alert).distinct()).scalars().all() if found is None else []
    if found is None:
        raise InputError(f"--state {where}: holds no alert {name}; it has: {', '.join(sorted(known)) or 'none yet'}")
    alert: dict[str, Any] = json.loads(found)
    return alert


@contextmanager
def _reading(where: str) -> Iterator[Connection]:
    database = tables.existing(where)
    try:
        with database.read() as connection:
            yield connection
    finally:
        database.close()
