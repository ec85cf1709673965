"""finance-monitor's journal on a real PostgreSQL: as on SQLite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from apps.finance_monitor import charts, tables
from apps.finance_monitor.inbox import Inbox
from apps.finance_monitor.items import DeadLetter
from apps.finance_monitor.journal import Journal
from apps.finance_monitor.series import Point
from apps.finance_monitor.silences import Silences
from apps.finance_monitor.windows import ALL, STEP, Key
from engine.errors import InputError
from tests.finance_monitor.test_journal import changes, fresh, news, taken
from tests.finance_monitor.test_serve import START, usual
from tests.finance_monitor.test_silences import goes_on_from_older


def test_a_journal_goes_on_after_a_restart_and_keeps_nothing_of_half_a_chunk(postgresql: str) -> None:
    items = news()
    whole = taken(fresh(), items)
    for start in range(0, len(items), 50):
        record = Journal(postgresql)
        state = record.restore(fresh)
        chunk = items[start : start + 50]
        found = changes(taken(state, chunk))
        letter = DeadLetter("feed", 1, "why", "涨")
        record.write({"feed": str(start + 50)}, chunk, [letter], found, state)
        record.close()
    record = Journal(postgresql)
    with pytest.raises(InputError, match="another monitor is writing it"):
        Journal(postgresql)
    assert list(record.changes()) == whole
    assert record.position("feed") == str(start + 50)
    assert len(list(record.dead())) == len(range(0, len(items), 50))
    with pytest.raises(Exception, match="duplicate key"):
        record.write({"feed": "0"}, [], [], changes(whole), record.restore(fresh))
    assert record.position("feed") != "0"
    record.close()


def test_what_an_older_keel_wrote_is_read_on(postgresql: str, tmp_path: Path) -> None:
    engine = create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("create database older")
    engine.dispose()
    goes_on_from_older(postgresql.removesuffix("postgres") + "older", tmp_path)


def test_what_faces_need_is_there_too(postgresql: str) -> None:
    database = tables.opened(postgresql)
    inbox = Inbox(database)
    inbox.put([b"no news \x00", *(json.dumps(one).encode() for one in usual(5))])
    inbox.put([json.dumps(usual(1)[0]).encode()])
    numbers = [one.number for one in inbox.waiting(0, 100)]
    assert len(numbers) == 6
    inbox.forget(numbers[3])
    assert [one.number for one in inbox.waiting(0, 100)] == numbers[4:]
    with database.write() as connection:
        charts.write(connection, [Point(START + n * STEP, ALL, n, 1, 0.5) for n in range(1, 9)])
        made = Silences(connection).add("*", START, START + STEP)
        assert Silences(connection).hides({"key": {"type": "all", "value": "all"}}, START) == made.id
    with database.read() as connection:
        read = charts.read(connection, [ALL, Key("topic", "涨")], START, 2, 4 * STEP)
        assert read[ALL] == {"stories": [10, 26], "negative": [4, 4], "expected": [2, 2]}
        assert charts.busiest(connection, START, 5)[0]["stories"] == 36
    database.close()
