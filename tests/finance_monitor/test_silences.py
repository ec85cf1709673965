"""Silences: they hide by the time of the news, mark what they hid, and never leave a sink with half an alert."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from apps.finance_monitor import changelog, tables, undelivered
from apps.finance_monitor.cli import app
from apps.finance_monitor.journal import Change, Journal, State
from apps.finance_monitor.outbox import Outbox
from apps.finance_monitor.silences import DAYS, Silence, Silences
from apps.finance_monitor.sinks.escalation import Escalation
from engine.db import Database
from engine.errors import InputError
from tests.finance_monitor.test_alarms import START
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
    heard: list[str] = field(default_factory=list)

    def send(self, message: str, alert: dict[str, Any]) -> None:
        self.told.append(alert["revision"])
        self.heard.append(message)


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


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def change(minute: float, name: str, revision: int, status: str = "firing") -> Change:
    key, time = {"type": "topic", "value": name}, at(minute).isoformat()
    alert = {"id": name, "key": key, "status": status, "severity": "warning", "revision": revision}
    times = {"opened": time, "updated": time, "closed": time if status == "resolved" else None}
    return Change(name, revision, status, json.dumps(alert | times))


def reached(minute: float) -> State:
    """The state of a monitor whose news has come to that minute."""
    state = fresh()
    state.monitor.tally.last = at(minute)
    return state


def told(record: Journal, sinks: Sequence[Any], minute: float) -> None:
    box = Outbox(record.database, sinks)
    box.clock = at(minute)
    while box.deliver():
        pass


def silence(record: Journal, start: float, end: float | None, weekly: str | None = None, key: str = "*") -> Silence:
    with record.database.write() as connection:
        return Silences(connection).add(key, at(start), None if end is None else at(end), weekly=weekly)


@pytest.mark.parametrize(("end", "weekly"), [(60, None), (None, "mon 00:00-01:00")])
def test_an_alert_that_outlives_the_silence_it_opened_in_is_told_at_its_end_and_so_is_its_end(
    record: Journal, end: float | None, weekly: str | None
) -> None:
    silence(record, 0, end, weekly)
    desk = Sink()
    record.write({}, [], [], [change(15, "a", 1), change(15, "b", 1)], reached(59))
    told(record, [desk], 59)
    assert desk.heard == []
    record.write({}, [], [], [change(60, "b", 2, "resolved")], reached(61))
    told(record, [desk], 61)
    assert desk.heard == ["a-1"], "b ended with the silence"
    record.write({}, [], [], [change(75, "a", 2, "resolved")], reached(76))
    told(record, [desk], 76)
    assert desk.heard == ["a-1", "a-2"]
    with record.database.read() as connection:
        assert [one.silence is None for one in changelog.after(connection, 0, 9)] == [True, False, False, True]


def test_a_silence_that_somebody_ends_or_makes_late_counts_from_what_the_news_has_reached(record: Journal) -> None:
    made = silence(record, 0, None)
    desk, boss = Sink(), Sink("boss")
    sinks = [desk, Escalation(boss, timedelta(minutes=30))]
    record.write({}, [], [], [change(15, "a", 1)], reached(20))
    told(record, sinks, 20)
    with record.database.write() as connection:
        Silences(connection).end(made.id, at(18))
    silence(record, 0, 17)
    record.keep(reached(20))  # the next run has nothing to read
    told(record, sinks, 20)
    assert (desk.heard, boss.heard) == (["a-1"], [])
    silence(record, 19, 100)
    record.write({}, [], [], [], reached(90))
    told(record, sinks, 90)
    assert boss.heard == []


def test_no_silenced_alert_is_escalated_before_the_silence_ends_and_it_still_fires(record: Journal) -> None:
    desk, boss = Sink(), Sink("boss")
    sinks = [desk, Escalation(boss, timedelta(minutes=30))]
    record.write({}, [], [], [change(0, "a", 1), change(0, "b", 1)], reached(9))
    told(record, sinks, 9)
    assert (desk.heard, boss.heard) == (["a-1", "b-1"], [])
    silence(record, 10, 120)
    record.write({}, [], [], [change(45, "b", 2, "resolved")], reached(46))
    told(record, sinks, 46)
    assert (desk.heard, boss.heard) == (["a-1", "b-1", "b-2"], [])
    for minute in (119, 121, 500):
        record.write({}, [], [], [], reached(minute))
        told(record, sinks, minute)
        assert boss.heard == (["a-1"] if minute > 120 else [])
    assert desk.heard == ["a-1", "b-1", "b-2"]


@pytest.mark.parametrize("words", [["add", "topic:cyber"], ["list"], ["end", "0f3a61c29d5b7e48"]])
@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_a_state_that_no_monitor_made_is_refused_and_not_made(words: list[str], prefix: str, tmp_path: Path) -> None:
    typo = tmp_path / "typo.db"
    with pytest.raises(InputError, match=r"typo\.db: no such file; name the one that the monitor was given"):
        app(["silence", *words, "--state", f"{prefix}{typo}"], standalone_mode=False)
    assert not typo.exists()


def test_the_silences_and_places_of_an_older_keel_are_read_on(tmp_path: Path) -> None:
    goes_on_from_older(f"sqlite:///{tmp_path}/monitor.db", tmp_path)


def goes_on_from_older(url: str, tmp_path: Path) -> None:
    """An empty database is written by the Keel before, and read on by this one."""
    older = tmp_path / "older"
    older.mkdir()
    for path in sorted(tables.MIGRATIONS.glob("*.py"))[:5]:
        shutil.copy(path, older)
    database = Database.open(url, name=tables.NAME, migrations=older)
    boss = Escalation(Sink("boss"), timedelta(minutes=30))
    with database.write() as connection:
        for number, one in enumerate([change(0, "a", 1), change(15, "b", 1), change(15, "c", 1)], 1):
            row = {**vars(one), "number": number}
            del row["line"]
            connection.execute(tables.changes.insert().values(**row, data=one.line))
        connection.exec_driver_sql("insert into finance_silenced values (2, 's')")
        connection.exec_driver_sql(f"insert into finance_deliveries values ('desk', 2, 0, 0), ('{boss.name}', 2, 0, 0)")
        connection.exec_driver_sql("insert into finance_undelivered values ('desk', 1, 'answered 400')")
    database.close()
    record = Journal(url)
    desk = Sink("desk")
    told(record, [desk], 20)
    assert desk.heard == ["c-1"]
    silence(record, 0, 40)
    record.restore(lambda: reached(20))
    record.write({}, [], [], [], reached(41))
    told(record, [desk, boss], 100)
    assert desk.heard == ["c-1", "b-1"], "what it hid still fires"
    assert isinstance(boss.sink, Sink)
    assert boss.sink.heard[-2:] == ["b-1", "c-1"]
    with record.database.read() as connection:
        assert undelivered.counts(connection) == {"desk": 1}
    record.close()


SPANS = st.lists(
    st.tuples(
        st.sampled_from(["*", "topic:a", "topic:b"]),
        st.integers(0, 300),
        st.integers(1, 200) | st.none(),
        st.sampled_from([None, None, "mon 01:00-02:10", "mon 03:00-03:00", "sun 22:00-00:50"]),
    ),
    max_size=4,
)
STORY = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), min_size=1, max_size=9)


def story(drawn: list[tuple[int, str]]) -> list[Change]:
    """Changes at the ends of steps; an alert ends at its third one."""
    found: list[Change] = []
    minute = 0
    for pause, name in drawn:
        minute += 15 * pause
        revision = 1 + sum(one.alert == name for one in found)
        found.append(change(minute, name, revision, "firing" if revision % 3 else "resolved"))
    return found


def minute_by_minute(changes: list[Change], silences: list[Silence], until: int) -> list[str]:
    """What a sink is to hear: changes that nothing hides, and those of firing alerts as soon as nothing does."""
    heard: list[str] = []
    left: dict[str, Change] = {}
    for minute in range(until):
        for one in changes:
            alert = json.loads(one.line)
            if alert["updated"] != at(minute).isoformat():
                continue
            left.pop(one.alert, None)
            known = any(message.startswith(one.alert) for message in heard)
            hidden = any(each.hides(alert["key"], at(minute)) for each in silences)
            if known if one.status == "resolved" and one.revision > 1 else not hidden:
                heard.append(f"{one.alert}-{one.revision}")
            elif one.status == "firing":
                left[one.alert] = one
        for name, one in sorted(left.items(), key=lambda item: changes.index(item[1])):
            if not any(each.hides({"type": "topic", "value": name}, at(minute)) for each in silences):
                heard.append(f"{one.alert}-{one.revision}")
                del left[name]
    return heard


@given(STORY, SPANS, st.lists(st.integers(0, 600), max_size=4))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_sinks_hear_is_the_same_in_whatever_portions_news_is_read_and_after_any_restart(
    record: Journal,
    drawn: list[tuple[int, str]],
    spans: list[tuple[str, int, int | None, str | None]],
    looks: list[int],
) -> None:
    changes = story(drawn)
    told_in: list[list[str]] = []
    notes: list[list[Any]] = []
    silences: list[Silence] = []
    for clocks in ([], sorted(looks)):
        with record.database.write() as connection:
            for table in (tables.changes, tables.heard, tables.silences, tables.deliveries):
                connection.execute(table.delete())
        for key, start, length, weekly in spans:
            silence(record, start, None if length is None else start + length, weekly, key)
        with record.database.read() as connection:
            silences = Silences(connection).all()
        sink, before = Sink(), -1
        record.restore(fresh)
        for clock in (*clocks, 1000):
            found = [one for one in changes if before < (_minute(one)) <= clock]
            record.write({}, [], [], found, reached(clock))
            told(record, [sink], clock)
            record.restore(lambda: reached(clock))  # noqa: B023  # asked at once
            before = clock
        told_in.append(sink.heard)
        with record.database.read() as connection:
            rows = connection.execute(tables.heard.select().order_by(tables.heard.c.place))
            first = connection.scalar(select(func.min(tables.changes.c.number)))
            notes.append([(row.number - first, row.time, row.silence is None) for row in rows])
    assert told_in[0] == told_in[1] == minute_by_minute(changes, silences, 1000)
    assert notes[0] == notes[1]


def _minute(one: Change) -> float:
    return (datetime.fromisoformat(json.loads(one.line)["updated"]) - START) / timedelta(minutes=1)
