"""Silences: they hide by the time of the news, mark what they hid, and never leave a sink with half an alert."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.finance_monitor import changelog, tables
from apps.finance_monitor.journal import Journal
from apps.finance_monitor.outbox import Outbox
from apps.finance_monitor.silences import DAYS, Silence, Silences
from engine.db import Database
from engine.errors import InputError
from tests.finance_monitor.test_journal import changes, fresh, news, taken

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
CYBER = {"type": "topic", "value": "cyber"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = tables.opened(str(tmp_path / "monitor.db"))
    yield found
    found.close()


def add(database: Database, key: str = "topic:cyber", hours: float | None = 2, **more: Any) -> Silence:
    with database.write() as connection:
        ends = NOON + timedelta(hours=hours) if hours else None
        return Silences(connection).add(key, NOON, ends, **more)


@pytest.mark.parametrize(
    ("key", "minutes", "hidden"),
    [
        (CYBER, 0, True),
        (CYBER, 119, True),
        (CYBER, 120, False),
        (CYBER, -1, False),
        ({"type": "topic", "value": "fraud"}, 5, False),
        ({"type": "company", "value": "cyber"}, 5, False),
    ],
)
def test_a_silence_hides_its_key_from_its_start_to_before_its_end(
    database: Database, key: dict[str, str], minutes: int, hidden: bool
) -> None:
    made = add(database)
    assert made.hides(key, NOON + timedelta(minutes=minutes)) is hidden


def test_one_for_every_key_hides_all(database: Database) -> None:
    assert add(database, "*").hides({"type": "company", "value": "任何"}, NOON)


@given(st.datetimes(datetime(2026, 3, 4, 12), datetime(2027, 1, 1)), st.integers(0, 6), st.integers(0, 23))
def test_a_maintenance_window_comes_back_each_week_for_its_length(time: datetime, day: int, hour: int) -> None:
    weekly = f"{DAYS[day]} {hour:02d}:30-{(hour + 3) % 24:02d}:00"
    one = Silence("1", "*", "*", NOON, None, weekly, "", "", NOON)
    at = time.replace(tzinfo=UTC)
    begin = at.replace(hour=hour, minute=30, second=0, microsecond=0)
    begin -= timedelta(days=(begin.weekday() - day) % 7)
    hidden = any(start <= at < start + timedelta(hours=2.5) for start in (begin, begin - timedelta(days=7)))
    assert one.hides(CYBER, at) is hidden


@pytest.mark.parametrize(
    ("key", "hours", "weekly", "says"),
    [
        ("cyber", 1, None, "write topic:NAME"),
        ("topic:", 1, None, "write topic:NAME"),
        ("*", -1, None, "over before"),
        ("*", None, "sat 25:00-26:00", "write a day and two times"),
        ("*", None, "tomorrow", "write a day"),
    ],
)
def test_what_is_no_silence_is_refused_with_the_way_out(
    database: Database, key: str, hours: float | None, weekly: str | None, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        add(database, key, hours, weekly=weekly)


def test_a_silence_ends_once_and_stays_on_record(database: Database) -> None:
    made = add(database, reason="known")
    with database.write() as connection:
        silences = Silences(connection)
        ended = silences.end(made.id, NOON + timedelta(hours=1))
        assert silences.all() == [ended]
        with pytest.raises(InputError, match="is over since 2026-03-04T13:00:00Z"):
            silences.end(made.id, NOON + timedelta(hours=1))
        with pytest.raises(InputError, match="no silence nothing"):
            silences.end("nothing", NOON)


@dataclass
class Sink:
    name: str = "sink"
    told: list[int] = field(default_factory=list)

    def send(self, message: str, alert: dict[str, Any]) -> None:
        self.told.append(alert["revision"])


@pytest.mark.parametrize(
    ("first", "behind", "told"),
    [
        (None, None, [1, 2, 3, 4]),
        (1, None, []),  # all of it
        (1, 4, []),  # all but its end: who was not told that it fires need not hear that it does not
        (1, 2, [2, 3, 4]),
        (2, None, [1, 4]),  # its end too: who was told is told that it is over
    ],
)
def test_sinks_hear_what_no_silence_hides_and_the_log_has_it_all(
    record: Journal, first: int | None, behind: int | None, told: list[int]
) -> None:
    state = record.restore(fresh)
    items = news()
    lines = taken(state, items)
    times = [changelog.changed(json.loads(line)) for line in lines]
    assert len(lines) == 4
    if first:
        with record.database.write() as connection:
            ends = times[behind - 1] if behind else None
            Silences(connection).add("topic:cyber", times[first - 1], ends)
    record.write({}, items, [], changes(lines), state)
    sink = Sink()
    box = Outbox(record.database, [sink])
    while box.deliver():
        pass
    assert sink.told == told
    assert box.end() == {}
    assert list(record.changes()) == lines
    with record.database.read() as connection:
        found = changelog.of(connection, next(iter(state.monitor.alerts)))
    assert [one.number for one in found if one.silence is None] == told


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(str(tmp_path / "monitor.db"))
    yield found
    found.close()
