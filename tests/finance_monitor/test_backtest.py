"""A backtest: each alert tells of one surge at most, chance is that of thrown alarms, and a page shows it all."""

from __future__ import annotations

import html.parser
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from apps.finance_monitor import backtest, replay
from apps.finance_monitor.alert import Alert
from apps.finance_monitor.arrivals import Arrivals
from apps.finance_monitor.backtest import Event, score
from apps.finance_monitor.backtest_page import page
from apps.finance_monitor.baseline import Tails
from apps.finance_monitor.chance import Thrown, chance
from apps.finance_monitor.feeds import named
from apps.finance_monitor.history import Course, History
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.rate import Rate
from apps.finance_monitor.trial import Trial
from apps.finance_monitor.watchlist import WatchList
from apps.finance_monitor.windows import STEP, WINDOW, Key
from engine.errors import InputError
from tests.finance_monitor.test_alarms import CYBER, START, item, usual
from tests.finance_monitor.test_feed import line as news_line
from tests.finance_monitor.words import models

CREDIT = Key("topic", "credit")
BANK = Key("company", "中国银行 <Halden> $X $Y")


def event(
    hour: float, key: Key = CYBER, *, hours: float = 2, kind: str = "surge", aliases: tuple[str, ...] = ()
) -> Event:
    start = START + timedelta(hours=hour)
    return Event(kind, key, start, start + timedelta(hours=hours), "", aliases)


def alert(hour: float, key: Key = CYBER, related: Sequence[Key] = ()) -> Alert:
    tails = Tails(0.1, 0.01, 1e-9, 1e-9)
    return Alert(key, START + timedelta(hours=hour), 9, 0.5, tails, 1e-5, {}, related=list(related))


def test_found_missed_repeated_and_false_are_told_apart() -> None:
    planted = [event(10), event(40), event(60, kind="decoy")]
    found = score([alert(10.5), alert(11), alert(60.5), alert(90, CREDIT)], planted)
    assert [(match.event, match.delay) for match in found.found] == [(planted[0], 0.5)]
    assert found.missed == [planted[1]]
    assert [one.opened for one in found.repeats] == [START + timedelta(hours=11)]
    assert [one.key for one in found.false_alarms] == [CYBER, CREDIT]
    assert (found.recall, found.precision, found.f1) == (0.5, 1 / 3, 0.4)


def test_an_alert_of_two_surges_tells_of_the_one_that_nothing_else_tells_of() -> None:
    both, cyber = alert(10.25, CREDIT, [CYBER]), alert(11)
    found = score([both, cyber], [event(10), event(10, CREDIT)])
    assert [(match.event.key, match.alert) for match in found.found] == [(CYBER, cyber), (CREDIT, both)]


def test_an_event_has_other_names_and_one_of_the_whole_wire_any_key() -> None:
    named = event(10, Key("company", "Brackwater Savings"), aliases=("Brackwater",))
    assert score([alert(10.5, Key("company", "BRACKWATER"))], [named]).recall == 1
    assert score([alert(10.5, Key("topic", "brackwater"))], [named]).recall == 0
    assert score([alert(10.5, CREDIT)], [event(10, Key("all", "all"))]).recall == 1


SOME = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([CYBER, CREDIT])), max_size=5)


@given(SOME, SOME)
@settings(max_examples=150, deadline=None)
def test_matches_are_the_most_and_of_those_the_soonest(
    alerts: list[tuple[int, Key]], planted: list[tuple[int, Key]]
) -> None:
    raised = [alert(hour / 2, key) for hour, key in alerts]
    events = [event(hour / 2, key) for hour, key in planted]
    found = score(raised, events)
    assert len({id(match.alert) for match in found.found}) == len(found.found)
    assert len(found.found) + len(found.missed) == len(events)
    assert found.alarms == len(raised)
    assert all(match.event.told_by(match.alert) for match in found.found)
    assert not any(one.told_by(wrong) for one in events for wrong in found.false_alarms)
    best = min(
        (
            (-len(pairs), sum((a.opened - e.start) / WINDOW for e, a in pairs))
            for order in permutations([*raised, *[None] * len(events)], len(events))
            for pairs in [[(e, a) for e, a in zip(events, order, strict=True) if a is not None and e.told_by(a)]]
        )
        if len(raised) + len(events) <= 6
        else [(-len(found.found), sum(found.delays))]
    )
    assert (-len(found.found), sum(found.delays)) == pytest.approx(best)
    again = score(raised[::-1], events)
    assert (len(again.found), sum(again.delays)) == pytest.approx((len(found.found), sum(found.delays)))


@given(st.integers(0, 60), st.floats(0.5, 100))
@settings(max_examples=40, deadline=None)
def test_a_rates_interval_is_garwoods(count: int, days: float) -> None:
    rate = Rate(count, days)
    low, high = rate.interval
    assert low <= rate.a_day <= high
    assert poisson.cdf(count, high * days) == pytest.approx(0.025)
    assert poisson.cdf(count, rate.upper * days) == pytest.approx(0.05)
    if count:
        assert poisson.sf(count - 1, low * days) == pytest.approx(0.025)


def course_of(alerts: list[Alert], *, days: int = 4, negative: dict[Key, int]) -> Course:
    steps = [START + STEP * number for number in range(1, days * 96 + 1)]
    return Course(alerts, steps, {key: dict.fromkeys(steps[:count], 1) for key, count in negative.items()})


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(1, 3))
@settings(max_examples=8, deadline=None)
def test_the_exact_chance_is_that_of_draws(keys: list[int], found: int) -> None:
    planted = [event(10, hours=8), event(30, CREDIT, hours=12), event(60, Key("all", "all"))]
    thrown = Thrown.like(course_of([], negative={CYBER: 40, CREDIT: 100, Key("topic", "macro"): 3}), planted)
    assert thrown.apart
    exact, draws = thrown.exact(keys, found), 4000
    drawn = thrown.drawn(keys, found, draws=draws)
    assert abs(drawn - exact) < 4.5 * np.sqrt(exact * (1 - exact) / draws) + 2 / draws


def test_one_alarm_on_one_surge_is_as_likely_as_its_share_of_steps_and_keys() -> None:
    course = course_of([alert(10.25)], negative={CYBER: 99, CREDIT: 299})
    found = chance(course, score(course.alerts, [event(10, hours=0.75)]))
    assert found.resolution is None
    assert found.p_value == pytest.approx(8 / 384 * 100 / 400)  # 10:00 to 11:45, both included


def test_chance_is_never_nothing_and_says_how_finely_it_was_drawn() -> None:
    over = [event(10), event(11, CREDIT)]
    sure = course_of([alert(10.5, Key("company", f"c{n}")) for n in range(2)] + [alert(10.5), alert(11.5, CREDIT)],
                    days=100, negative={Key("topic", "macro"): 9000})  # fmt: skip
    drawn = chance(sure, score(sure.alerts, over))
    assert drawn.resolution is not None
    assert drawn.p_value == pytest.approx(drawn.resolution)
    assert chance(sure, score([], over)).p_value == 1


@pytest.fixture(scope="module")
def history() -> History:
    surge = [item(5 * 1440 + 600 + 6 * n, f"attack{n} on a firm", "negative", ("cyber",)) for n in range(30)]
    return History(sorted(usual(7) + surge, key=lambda one: one.item.time), model={"name": "m"})


def test_a_sweep_runs_over_news_that_was_labelled_once(history: History) -> None:
    trials = [Trial.of(history, [event(130)], budget) for budget in (1e-6, 0.5, 50.0)]
    counts = [one.alarms.count for one in trials]
    assert counts == sorted(counts)
    assert trials[1].score is not None
    assert trials[1].score.recall == 1
    assert trials[1].course.counts[CYBER][START + timedelta(hours=132)] == 10
    figures = trials[1].as_dict()
    assert (figures["precision"], figures["max_delay_minutes"]) == (1, 60 * figures["max_delay_windows"])
    assert Trial.of(history, None, 0.5).as_dict().keys() < figures.keys()


def test_a_history_is_read_whole_and_in_order_however_long_it_is(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Arrivals.__init__, "__kwdefaults__", {"held": 5})
    lines = [news_line(number, published=f"2026-03-02T08:{number:02}:00Z") for number in range(30)]
    path = write("news.jsonl", "".join(lines[::-1] + lines[:1]))
    read = History.read([named(str(path))], models(), WatchList(), None)
    assert [one.item.id for one in read.items] == [f"n{number}" for number in range(30)]


def test_a_backtest_takes_a_countrys_holidays_for_sundays_as_a_run_does(history: History) -> None:
    def at_christmas(one: Labelled) -> Labelled:
        time = one.item.time + timedelta(days=293)
        return replace(one, item=replace(one.item, published=time, received=time))

    moved = replace(history, items=[at_christmas(one) for one in history.items], calendar="US")
    (told,) = moved.replay(0.5).alerts
    run = replay.replay(moved.items, replay.Settings(calendar="US"), moved.model)
    assert told.as_dict() == run.alerts[told.id].as_dict()
    (weekday,) = replace(moved, calendar=None).replay(0.5).alerts
    assert (weekday.opened.day, weekday.tails == told.tails) == (25, False)


class Parsed(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_needs_nothing_else_and_keeps_every_name_as_it_is(history: History) -> None:
    planted = [event(130), event(100, BANK, kind="decoy")]
    planted[1] = replace(planted[1], note="<script>alert(1)</script>")
    trials = [Trial.of(history, planted, budget) for budget in (0.5, 50.0)]
    assert trials[0].score is not None
    text = page(trials[0], planted, chance(trials[0].course, trials[0].score), trials)
    found = Parsed(text)
    assert found.tags.count("svg") == 1 + len(planted) + 1
    assert "script" not in found.tags
    assert "mathdefault" not in text
    assert all(link.startswith("#") for link in found.links)
    assert sum(f"company {BANK.value}" in one for one in found.texts) >= 2  # a row of the overview, and a heading
    assert "Found " in text
    assert page(trials[0], planted, None, trials[:1]) == page(trials[0], planted, None, trials[:1])


def test_a_page_without_events_shows_the_alarms(history: History) -> None:
    trial = Trial.of(history, None, 0.5)
    assert "topic cyber" in page(trial, [], None, [trial])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{}", "line 1: no event (KeyError('kind'))"),
        ('{"kind": "storm", "key": {"type": "topic", "value": "x"}}', "kind 'storm'"),
        ('{"kind": "surge", "key": {"type": "colour", "value": "x"}}', "key.type 'colour'"),
        (
            '{"kind": "surge", "key": {"type": "all"}, "start": "2026-03-02T08:00:00", "end": "2026-03-02T09:00:00"}',
            "without zone",
        ),
        (
            '{"kind": "surge", "key": {"type": "all"}, "start": "2026-03-02T08:00:00Z", "end": "2026-03-02T07:00:00Z"}',
            "end lies before start",
        ),
    ],
)
def test_a_line_that_is_no_event_is_told(write: Callable[[str, str], Path], line: str, reason: str) -> None:
    with pytest.raises(InputError) as told:
        backtest.events(write("e.jsonl", line + "\n"))
    assert reason in str(told.value)


def test_aliases_stand_beside_the_name(write: Callable[[str, str], Path]) -> None:
    values = {"kind": "surge", "key": {"type": "company", "value": "A", "aliases": ["B"]}}
    times = {"start": "2026-03-02T08:00:00Z", "end": "2026-03-02T09:00:00Z"}
    (found,) = backtest.events(write("e.jsonl", json.dumps(values | times) + "\n"))
    assert found.concerns(Key("company", "b"))
