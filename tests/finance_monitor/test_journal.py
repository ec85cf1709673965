"""The journal: whatever is cut off, and in whatever order items come, the same alerts come out, each once."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from apps.finance_monitor import journal, tables
from apps.finance_monitor.alarms import Alarms
from apps.finance_monitor.arrivals import Arrivals
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.feeds.line import Position
from apps.finance_monitor.items import DeadLetter, NewsItem
from apps.finance_monitor.journal import Change, Journal, State
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.lines import Lines
from apps.finance_monitor.monitor import Monitor
from apps.finance_monitor.stories import Stories
from engine.db import Database
from engine.errors import InputError
from tests.finance_monitor.test_alarms import START, item, usual

LATENESS = timedelta(minutes=5)


def fresh() -> State:
    return State(Arrivals(LATENESS), Monitor(Stories(), Companies(), Alarms({"name": "m"})))


def news() -> list[Labelled]:
    """Three days with a surge, in order of time, no two at once."""
    surge = [item(2000 + 5 * n, f"attack{n} on a firm", "negative", ("cyber",)) for n in range(30)]
    return sorted(usual(3) + surge, key=lambda one: one.item.time)


def to_the_minute(one: Labelled) -> Labelled:
    time = one.item.time.replace(second=0, microsecond=0)
    return replace(one, item=replace(one.item, published=time, received=time))


def taken(state: State, items: list[Labelled]) -> list[str]:
    """Lines of the changes that items bring."""
    found = []
    for one in items:
        found += [json.dumps(alert.as_dict()) for alert in state.monitor.take(state.arrivals.add(one))]
    return found


def changes(lines: list[str]) -> list[Change]:
    return [Change(one["id"], one["revision"], one["status"], line) for line in lines for one in [json.loads(line)]]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_run_cut_off_between_any_chunks_goes_on_to_the_same_alerts(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], kept: bool
) -> None:
    items = news()
    whole = taken(fresh(), items)
    assert len(whole) > 2
    place = str(tmp_path_factory.mktemp("state") / "monitor.db")
    at = 0
    while at < len(items):
        record = Journal(place)
        state = record.restore(fresh)
        for size in sizes:
            chunk = items[at : at + 5 * size]
            found = changes(taken(state, chunk))
            record.write({"f": str(at + len(chunk))}, chunk, [], found, state)
            at += len(chunk)
        if kept:
            record.keep(state)
        else:
            taken(state, items[at : at + 7])  # read, and lost before it was kept
        record.close()
    record = Journal(place)
    assert list(record.changes()) == whole
    assert record.position("f") == str(len(items))
    assert taken(record.restore(fresh), []) == []
    record.close()


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_any_order_of_arrival_within_the_lateness_gives_the_same_alerts(seed: int) -> None:
    draw = random.Random(seed)
    items = [to_the_minute(one) for one in news()]  # so that some come at one time
    delays = {one.item.id: draw.uniform(0, LATENESS / timedelta(minutes=1)) for one in items}
    shuffled = sorted(items, key=lambda one: one.item.time + timedelta(minutes=delays[one.item.id]))
    assert [one.item.id for one in shuffled] != [one.item.id for one in items]
    first, second = fresh(), fresh()
    assert taken(first, shuffled) == taken(second, items)
    assert len(first.monitor.alerts) == 1
    assert second.arrivals.late == first.arrivals.late == 0


def revised(one: Labelled, minutes: float, title: str = "regret", **what: str) -> Labelled:
    """A revision that came so long after what it revises, and bears its time."""
    made = item(0, title, "negative", ("cyber",))
    received = one.item.time + timedelta(minutes=minutes)
    times = {"published": one.item.published, "received": received}
    return replace(made, item=replace(made.item, id=f"{one.item.id}-{minutes}", **times, **what))  # type: ignore[arg-type]


@given(st.integers(0, 10**6))
@settings(max_examples=4, deadline=None)
def test_revisions_that_bear_an_earlier_time_count_where_they_are_received_in_any_order(seed: int) -> None:
    draw = random.Random(seed)
    items = news()
    attacks = [one for one in items if "attack" in one.item.title]
    items += [revised(one, 40, retracts=one.item.id) for one in attacks[:6]]
    items += [revised(one, 90, one.item.title, corrects=one.item.id) for one in attacks[6:9]]

    def came(one: Labelled) -> timedelta:
        return one.item.received - START + draw.uniform(0, 1) * LATENESS

    runs = [fresh(), fresh()]
    orders = sorted(items, key=lambda one: one.item.received), sorted(items, key=came)
    first, second = (taken(run, order) for run, order in zip(runs, orders, strict=True))
    assert first == second
    assert [run.arrivals.late for run in runs] == [0, 0]
    assert set(json.loads(first[-1])["corrected"]) == {one.item.id for one in attacks[:9]}


def test_a_revision_without_a_time_of_receipt_counts_when_it_comes_if_what_it_revises_may_still_count() -> None:
    first, old = item(-3000, "old"), item(0, "news")
    others = [item(60 * n, f"hour{n}") for n in range(1, 4)]
    retraction, forgotten = (revised(one, 0, retracts=one.item.id) for one in (old, first))
    arrivals = Arrivals(LATENESS)
    out = [one for each in (old, *others, retraction, forgotten, item(240, "later")) for one in arrivals.add(each)]
    (placed,) = [one for one in out if one.item.retracts]
    assert placed.time == others[-1].item.time - LATENESS
    assert placed.item == retraction.item
    assert [one.time for one in out] == sorted(one.time for one in out)
    assert arrivals.late == 1


def test_of_one_time_what_revises_comes_last() -> None:
    arrivals = Arrivals(None)
    one = item(0, "news")
    taken_back = replace(one, item=replace(one.item, id="a", retracts=one.item.id))
    assert [*arrivals.add(taken_back), *arrivals.add(one), *arrivals.rest()] == [one, taken_back]


def test_what_comes_twice_counts_once_and_what_comes_too_late_is_counted_apart() -> None:
    arrivals = Arrivals(LATENESS)
    told = [item(minute, f"news{minute}") for minute in (0, 10, 4, 10, 30, 24, 25)]
    out = [one.item.id for each in told for one in arrivals.add(each)]
    out += [one.item.id for one in arrivals.rest()]
    assert out == ["news0-0", "news10-10", "news25-25", "news30-30"]
    assert (arrivals.late, arrivals.duplicates) == (2, 1)
    for day in range(1, 40):
        list(arrivals.add(item(day * 1440, f"later{day}")))
    assert len(arrivals._known) < 6


def test_a_fault_in_the_middle_of_a_chunk_keeps_nothing_of_it(tmp_path: Path) -> None:
    record = Journal(str(tmp_path / "monitor.db"))
    state = record.restore(fresh)
    one = item(0, "news")
    twice = [Change("a", 1, "firing", changes(taken(fresh(), news()))[0].line)] * 2
    with pytest.raises(Exception, match="UNIQUE"):
        record.write({"f": "1"}, [one], [DeadLetter("f", 1, "why", "text")], twice, state)
    assert record.position("f") is None
    assert (list(record.changes()), list(record.dead())) == ([], [])
    record.close()


def test_a_second_monitor_on_the_same_state_is_refused(tmp_path: Path) -> None:
    record = Journal(str(tmp_path / "monitor.db"))
    with pytest.raises(InputError, match="another monitor is writing it"):
        Journal(str(tmp_path / "monitor.db"))
    with pytest.raises(InputError, match="another monitor is writing it"):
        Journal(f"sqlite:///{tmp_path}/monitor.db")
    record.close()
    Journal(str(tmp_path / "monitor.db")).close()
    with pytest.raises(InputError, match="cannot be written"):
        Journal(str(tmp_path / "none" / "monitor.db"))


def test_a_state_of_other_code_is_not_trusted_and_its_items_are_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = news()
    record = Journal(str(tmp_path / "monitor.db"))
    state = record.restore(fresh)
    found = changes(taken(state, items))
    record.write({"f": "1"}, items, [], found, state)
    record.keep(state)
    with record.database.write() as connection:
        connection.execute(tables.states.update().values(code="other", data=b"no pickle"))
    again = record.restore(fresh)
    assert again.monitor.tally == state.monitor.tally
    assert again.monitor.alerts.keys() == state.monitor.alerts.keys()
    record.close()


def test_a_state_holds_nothing_that_runs_code() -> None:
    import io
    import os
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("true",)

    with pytest.raises(pickle.UnpicklingError, match="a state holds no"):
        journal._Loader(io.BytesIO(pickle.dumps(Evil()))).load()


def test_an_item_is_read_back_as_it_was_written() -> None:
    made = Labelled(
        NewsItem(
            "1",
            START,
            datetime(2026, 3, 2, 1, tzinfo=UTC),
            "涨",
            "wire",
            "zh",
            ("HLDN",),
            "正文",
            "https://x.example",
            "0",
        ),
        "zh",
        None,
        None,
    )
    row = journal._row(made)
    assert journal._labelled(row["data"], row["vector"]) == made
    other = item(3, "news of it")
    row = journal._row(other)
    back = journal._labelled(row["data"], row["vector"])
    assert (back.item, back.label) == (other.item, other.label)
    assert back.vector is not None
    assert other.vector is not None
    assert back.vector.tobytes() == other.vector.tobytes()


def test_a_torn_file_of_lines_is_made_whole_again(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text('{"a": 1}\n{"b"')
    lines = Lines(path, ['{"a": 1}', '{"b": 2}'])
    lines.write(['{"c": 3}'])
    lines.close()
    assert path.read_text() == '{"a": 1}\n{"b": 2}\n{"c": 3}\n'
    assert lines.count == 3


def test_positions_of_an_older_keel_are_read_on(tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    for path in sorted(tables.MIGRATIONS.glob("*.py"))[:2]:
        shutil.copy(path, older)
    url = f"sqlite:///{tmp_path}/monitor.db"
    database = Database.open(url, name=tables.NAME, migrations=older)
    with database.write() as connection:
        connection.exec_driver_sql(f"insert into finance_feeds values ('f', 3, {2**40}, {2**50})")
    database.close()
    record = Journal(url)
    assert record.position("f") == str(Position(3, 2**40, 2**50))
    record.close()


@given(st.permutations(range(40)), st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_a_feed_that_is_read_to_its_end_is_in_order_as_far_as_memory_is_to_reach(order: list[int], held: int) -> None:
    arrivals = Arrivals(None, held=held)
    out = []
    for minute in order:
        out += [one.item.time for one in arrivals.add(item(minute, "news"))]
        assert len(arrivals._waiting) <= held
    out += [one.item.time for one in arrivals.rest()]
    assert out == sorted(out)
    assert len(out) + arrivals.late == 40
    if held >= 39:
        assert arrivals.late == 0


def test_old_items_are_deleted_with_the_state_that_needs_them_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def numbers(record: Journal) -> list[int]:
        with record.database.read() as connection:
            return list(connection.execute(select(tables.items.c.number).order_by(tables.items.c.number)).scalars())

    items = [item(360 * number, f"news{number}") for number in range(80)]  # twenty days
    for name, keep, held in (("all", None, 80), ("some", timedelta(days=5), 28), ("none", timedelta(0), 4)):
        place = str(tmp_path / f"{name}.db")
        whole = fresh()
        for start in range(0, 80, 4):
            record = Journal(place, keep_items=keep)
            state = record.restore(fresh)
            chunk = items[start : start + 4]
            record.write({"f": str(start)}, chunk, [], changes(taken(state, chunk)), state)
            record.keep(state)
            taken(whole, chunk)
            assert state.monitor.tally == whole.monitor.tally
            record.close()
        record = Journal(place, keep_items=keep)
        assert numbers(record) == list(range(81 - len(numbers(record)), 81))
        assert len(numbers(record)) <= held
        assert record.restore(fresh).monitor.tally.items == whole.monitor.tally.items
        assert not caplog.records
        with record.database.write() as connection:
            connection.execute(tables.states.update().values(code="other"))
        again = record.restore(fresh)
        assert again.monitor.tally.items == len(numbers(record)) - 1
        assert bool(caplog.records) == (keep is not None)
        caplog.clear()
        record.close()


def test_what_other_code_tells_of_an_alert_is_numbered_behind_what_was_told(tmp_path: Path) -> None:
    record = Journal(str(tmp_path / "monitor.db"))
    state = record.restore(fresh)
    items = news()
    found = changes(taken(state, items[:-20]))
    last = json.loads(found[-1].line)
    more = [Change(last["id"], number, "firing", found[-1].line) for number in (50, 51)]
    record.write({"f": "1"}, items[:-20], [], [*found, *more], state)
    again = record.restore(fresh)
    assert again.monitor.alerts[last["id"]].revision == 51
    record.close()


def test_one_clock_gone_mad_makes_no_news_late_and_a_silence_ends_with_the_second_item() -> None:
    arrivals = Arrivals(LATENESS)
    mad = item(60 * 24 * 365 * 100, "mad")
    usual_news = [item(10 * n, f"usual{n}") for n in range(6)]
    taken = [one.item.title for one in (*usual_news[:3], mad, *usual_news[3:]) for one in arrivals.add(one)]
    assert arrivals.late == 0
    assert taken == [f"usual{n}" for n in range(5)]
    after = [item(5 * 1440 + 10 * n, f"after{n}") for n in range(3)]
    assert [one.item.title for late in after for one in arrivals.add(late)] == ["usual5", "after0", "after1"]
