"""Escalation: told of what is critical or fires on, by the clock of events, however and whenever it is asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import starmap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from apps.finance_monitor.hearing import Heard
from apps.finance_monitor.journal import Change, Journal
from apps.finance_monitor.meter import Meter
from apps.finance_monitor.outbox import Outbox
from apps.finance_monitor.pulse import Pulse
from apps.finance_monitor.sinks import Refused, configured
from apps.finance_monitor.sinks.escalation import Escalation, Moment, Moments
from apps.finance_monitor.sinks.sink import change, headline
from tests.finance_monitor.test_alarms import START
from tests.finance_monitor.test_journal import fresh
from tests.finance_monitor.test_smtp import alert as whole

AFTER = timedelta(minutes=30)
PULSE = Pulse(1, 0, 0, 0, None, None, 1, 0.1, [], {}, ())
STATUS = {"open": "firing", "worse": "firing", "critical": "firing", "end": "resolved"}


def told(minute: float, name: str, what: str, revision: int = 1) -> str:
    """An alert as it is told at that minute."""
    time = (START + timedelta(minutes=minute)).isoformat()
    severity = "critical" if what == "critical" else "warning"
    key = {"type": "topic", "value": name}
    alert = {"id": name, "key": key, "status": STATUS[what], "severity": severity, "updated": time}
    return json.dumps(alert | {"revision": revision})


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def heard(number: int, change: str) -> Heard:
    return Heard(number, number, change, datetime.fromisoformat(json.loads(change)["updated"]), None)


def turned(place: int, note: Heard, minute: float, silence: str | None) -> Heard:
    """The alert of a note as a silence begins or ends."""
    return replace(note, place=place, time=at(minute), silence=silence)


def seen(notes: Iterable[Heard], clock: float | None = None) -> list[Moment]:
    found = Moments(AFTER)
    found.see(notes, None if clock is None else at(clock))
    return found.found


def moments(changes: list[str], clock: float | None = None) -> list[Moment]:
    return seen(starmap(heard, enumerate(changes, 1)), clock)


def test_an_alert_that_fires_on_is_escalated_once_and_followed_to_its_end() -> None:
    changes = [told(0, "a", "open"), told(45, "a", "worse", 2), told(60, "a", "end", 3)]
    assert moments(changes[:1], 30) == []
    assert moments(changes[:1], 31) == [Moment(1, "firing for 30 minutes")]
    assert moments(changes) == [Moment(1, "firing for 30 minutes"), Moment(2, None), Moment(3, None)]


def test_an_alert_that_ends_in_time_is_nobodys_business() -> None:
    assert moments([told(0, "a", "open"), told(30, "a", "end", 2)], 1000) == []


def test_a_critical_alert_is_escalated_at_once_and_before_older_ones() -> None:
    changes = [told(0, "a", "open"), told(15, "b", "critical"), told(20, "a", "worse", 2)]
    assert moments(changes, 40) == [Moment(2, "now critical"), Moment(3, "firing for 30 minutes")]


def test_an_alert_that_opens_again_waits_again() -> None:
    changes = [told(0, "a", "open"), told(15, "a", "end", 2), told(60, "a", "open", 3)]
    assert moments(changes, 80) == []
    assert moments(changes, 91) == [Moment(3, "firing for 30 minutes")]


def test_a_silence_puts_an_escalation_off_to_its_end_if_the_alert_still_fires_then() -> None:
    first = heard(1, told(0, "a", "open"))
    notes = [first, turned(2, first, 10, "s"), turned(3, first, 120, None)]
    assert seen(notes[:1], 31) == [Moment(1, "firing for 30 minutes")]
    assert seen(notes[:2], 119) == seen(notes, 120) == []
    assert seen(notes, 121) == [Moment(1, "firing for 30 minutes")]
    assert seen([*notes[:2], replace(heard(3, told(60, "a", "end", 2)), silence="s")], 1000) == []


def test_an_escalated_alert_that_is_silenced_is_told_at_the_end_of_it_what_became_of_it() -> None:
    first = heard(1, told(0, "a", "critical"))
    change = replace(heard(3, told(60, "a", "worse", 2)), silence="s")
    notes = [first, turned(2, first, 10, "s"), change, turned(4, change, 120, None)]
    assert seen(notes, 1000) == [Moment(1, "now critical"), Moment(3, None)]
    assert seen([*notes[:2], turned(3, first, 120, None)], 1000) == [Moment(1, "now critical")]
    hidden = replace(first, silence="s")
    assert seen([hidden, turned(2, first, 120, None)], 1000) == [Moment(1, "now critical")]


STORY = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from("abc"), st.sampled_from([*STATUS, "turn"])), min_size=1, max_size=12
)


@given(STORY, st.lists(st.integers(0, 80), max_size=12))
@settings(max_examples=150, deadline=None)
def test_the_same_is_told_in_whatever_portions_it_is_seen(story: list[tuple[int, str, str]], looks: list[int]) -> None:
    notes: list[Heard] = []
    last: dict[str, Heard] = {}
    minute = 0
    for pause, name, what in story:
        minute += 5 * pause
        place = len(notes) + 1
        if what != "turn":
            silence = last[name].silence if name in last else None
            last[name] = replace(heard(place, told(minute, name, what)), silence=silence)
        elif name in last and '"firing"' in last[name].data:
            last[name] = turned(place, last[name], minute, None if last[name].silence else "s")
        else:
            continue
        notes.append(last[name])
    once = Moments(AFTER)
    once.see(notes, at(1000))
    often, sofar = Moments(AFTER), 0
    for look in sorted(looks):
        often.see([one for one in notes if one.time <= at(5 * look) and one.place > often.seen], at(5 * look))
        assert often.found[:sofar] == once.found[:sofar]
        sofar = len(often.found)
    often.see([one for one in notes if one.place > often.seen], at(1000))
    assert often.found == once.found
    assert len({one.number for one in once.found}) == len(once.found), "each change once"


class Desk:
    """A sink that takes every second message only."""

    name = "desk"

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []
        self.tries = 0

    def send(self, message: str, alert: dict[str, Any]) -> None:
        self.tries += 1
        if self.tries % 2:
            raise Refused("busy")
        self.taken.append((message, alert.get("escalated")))


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(str(tmp_path / "monitor.db"))
    yield found
    found.close()


def test_the_outbox_tells_both_sinks_each_its_own_and_goes_on_after_a_restart(record: Journal) -> None:
    lines = [told(0, "a", "open"), told(15, "b", "critical"), told(20, "c", "open"), told(35, "c", "end", 2)]
    made = [Change(a["id"], a["revision"], a["status"], line) for line in lines for a in [json.loads(line)]]
    record.write({"f": "1"}, [], [], made, record.restore(fresh))
    desk, boss = Desk(), Desk()
    for clock in (20, 29, 31, 90):  # started anew each time
        box = Outbox(record.database, [desk, Escalation(boss, AFTER)], first=0.0)
        box.clock = at(clock)
        for _ in range(20):
            box.deliver()
        assert box.end() == {}
    assert [message for message, _ in desk.taken] == ["a-1", "b-1", "c-1", "c-2"]
    assert boss.taken == [("b-1", "now critical"), ("a-1", "firing for 30 minutes")]


def test_what_an_escalation_was_not_told_is_counted(record: Journal) -> None:
    line = told(0, "a", "critical")
    record.write({"f": "1"}, [], [], [Change("a", 1, "firing", line)], record.restore(fresh))
    away = Escalation(Desk(), AFTER)
    assert Outbox(record.database, [away], first=60.0).end() == {"escalation after 30 minutes: desk": 1}


def test_the_backlog_counts_an_escalation_once_time_has_made_it(record: Journal) -> None:
    line = told(0, "a", "open")
    record.write({"f": "1"}, [], [], [Change("a", 1, "firing", line)], record.restore(fresh))
    desk, name = Desk(), "escalation after 30 minutes: desk"
    meter = Meter(CollectorRegistry(), record.database, [desk, Escalation(desk, AFTER)])
    assert meter.undelivered() == {"desk": 1, name: 0}
    meter.take(replace(PULSE, event=at(31)))
    assert meter.undelivered() == {"desk": 1, name: 1}
    box = Outbox(record.database, [Escalation(desk, AFTER)], first=0.0)
    box.clock = at(31)
    assert [box.deliver() for _ in range(2)] == [False, True]
    assert meter.undelivered() == {"desk": 1, name: 0}


def test_changes_are_told_apart_in_words() -> None:
    later = whole(revision=2, severity="critical", key={"type": "topic", "value": "cyber"})
    assert (change(whole()), change(later), change(later | {"escalated": "x"})) == ("opened", "updated", "escalated")
    assert headline(later).startswith("Update, critical: 9 negative stories on topic cyber in 60 minutes")
    assert headline(later | {"escalated": "now critical"}).startswith("Escalated (now critical), critical: 9")
    assert headline(later | {"kind": "volume", "key": {"type": "all", "value": "all"}}).startswith(
        "Update, critical: 9 stories on all news"
    )
    ended = later | {"status": "resolved", "closed": "2026-03-02T09:30:00Z", "reason": "retracted"}
    assert headline(ended).endswith("taken back by its sources 2026-03-02T09:30:00Z")


def test_an_escalation_is_a_webhook_or_a_mailbox() -> None:
    mail = "smtp://localhost/?from=a@b.example&to=c@d.example"
    names = [sink.name for sink in configured(escalate_to=["https://pager.example/x", mail], escalate_after=45)]
    assert names[0].startswith("escalation after 45 minutes: webhook pager.example ")
    assert names[1] == "escalation after 45 minutes: smtp c@d.example by localhost:25"
