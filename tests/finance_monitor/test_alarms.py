"""Alarms: surges of distinct negative stories alarm once; retellings, recaps and usual news do not."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom

from apps.finance_monitor import backtest
from apps.finance_monitor.alarms import Alarms
from apps.finance_monitor.alert import Alert
from apps.finance_monitor.baseline import Baseline, Tails, beta_binomial_tail
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.items import NewsItem
from apps.finance_monitor.labels import Label, Labelled
from apps.finance_monitor.monitor import Monitor
from apps.finance_monitor.season import Season, free_days
from apps.finance_monitor.stories import Stories
from apps.finance_monitor.windows import ALL, WINDOW, Key, Mention, Window
from engine.errors import InputError

START = datetime(2026, 3, 2, tzinfo=UTC)
CYBER = Key("topic", "cyber")


def item(minutes: float, title: str, sentiment: str = "neutral", topics: tuple[str, ...] = ("earnings",)) -> Labelled:
    time = START + timedelta(minutes=minutes)
    return Labelled(
        NewsItem(f"{title}-{minutes}", time, time, title, "wire"), "en", Label(sentiment, topics, "m"), one_hot(title)
    )


def one_hot(text: str) -> np.ndarray:
    """Titles of the same first word tell the same story."""
    vector = np.zeros(4096, dtype=np.float32)
    vector[zlib.crc32(text.split()[0].encode()) % 4096] = 1.0
    return vector


def usual(days: float, a_day: int = 60, seed: int = 1) -> list[Labelled]:
    draw = random.Random(seed)
    topics = ["earnings", "cyber", "credit", "products", "macro"]
    return [
        item(
            draw.uniform(0, days * 1440),
            f"usual{n} news",
            draw.choices(["negative", "neutral", "positive"], [2, 4, 4])[0],
            (draw.choice(topics),),
        )
        for n in range(int(days * a_day))
    ]


def alerts(items: list[Labelled], budget: float = 0.5) -> list[Alert]:
    monitor = Monitor(Stories(), Companies(), Alarms({"name": "m"}, budget=budget))
    ordered = sorted(items, key=lambda labelled: labelled.item.time)
    return list({one.id: one for told in (monitor.take(ordered), monitor.end()) for one in told}.values())


def test_usual_news_raises_no_alarm() -> None:
    assert alerts(usual(10)) == []


def test_a_surge_alarms_once_within_a_window_and_ends() -> None:
    surge = [item(5 * 1440 + 600 + 6 * n, f"attack{n} on a firm", "negative", ("cyber",)) for n in range(30)]
    found = alerts(usual(7) + surge)
    assert [alert.key for alert in found] == [CYBER]
    alert = found[0]
    start = START + timedelta(minutes=5 * 1440 + 600)
    assert start < alert.opened <= start + WINDOW
    assert alert.closed is not None
    assert alert.closed > start + timedelta(minutes=180)
    assert alert.observed >= 8
    assert alert.p_value < 1e-5
    assert len(alert.evidence) >= 25
    document = alert.as_dict()
    assert document["status"] == "resolved"
    assert document["evidence"][0].keys() == {"id", "title", "source", "outlets"}
    assert document["revision"] == alert.revision >= 2


def test_a_smaller_budget_raises_no_alarm_that_a_greater_does_not() -> None:
    faint = [item(5 * 1440 + 600 + 8 * n, f"attack{n} on a firm", "negative", ("cyber",)) for n in range(6)]
    busy = usual(6, a_day=300) + faint
    found = [len(alerts(busy, budget=budget)) for budget in (1e-6, 0.01, 0.5, 50.0)]
    assert found == sorted(found)
    assert found[0] == 0
    assert found[-1] > 0


def test_one_story_told_forty_times_is_one_story() -> None:
    told = [item(5 * 1440 + 600 + 4 * n, f"verdict told in way {n}", "negative", ("litigation",)) for n in range(40)]
    assert alerts(usual(7) + told) == []


def test_price_recaps_are_not_counted() -> None:
    recaps = [item(5 * 1440 + 600 + 3 * n, f"fall{n} in shares", "negative", ("markets",)) for n in range(40)]
    assert alerts(usual(7) + recaps) == []


def test_positive_and_topicless_bursts_do_not_alarm() -> None:
    good = [item(5 * 1440 + 3 * n, f"gain{n}", "positive", ("cyber",)) for n in range(40)]
    other = [item(6 * 1440 + 3 * n, f"match{n}", "negative", ()) for n in range(40)]
    assert alerts(usual(7) + good + other) == []


def test_a_company_and_the_topics_of_its_trouble_make_one_alert() -> None:
    topics = ["credit", "liquidity", "cyber"]
    surge = [
        item(5 * 1440 + 600 + 5 * n, f"blow{n} to Brackwater Savings", "negative", (topics[n % 3],)) for n in range(36)
    ]
    found = alerts(usual(7) + surge)
    assert [alert.key for alert in found] == [Key("company", "Brackwater Savings")]


def test_a_surge_on_the_first_morning_is_found() -> None:
    surge = [item(60 + 5 * n, f"attack{n} on a firm", "negative", ("cyber",)) for n in range(20)]
    assert [alert.key for alert in alerts([*usual(0.5), *surge])] == [CYBER]


def test_a_replay_gives_the_same_alerts() -> None:
    items = usual(3) + [item(1440 + 6 * n, f"attack{n}", "negative", ("cyber",)) for n in range(30)]
    assert [alert.as_dict() for alert in alerts(items)] == [alert.as_dict() for alert in alerts(items)]


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 9)), max_size=80))
@settings(max_examples=40, deadline=None)
def test_a_window_counts_distinct_first_tellings_of_the_last_hour(told: list[tuple[int, int]]) -> None:
    window = Window()
    first: dict[int, int] = {}
    for minute, story in sorted(told):
        window.add_negative(CYBER, Mention(START + timedelta(minutes=minute), str(story), "i", "t"))
        first.setdefault(story, minute)
    now = 600
    window.close(START + timedelta(minutes=now))
    assert len(window.negative().get(CYBER, [])) == sum(minute > now - 60 for minute in first.values())


@given(st.integers(1, 40), st.integers(60, 500))
@settings(max_examples=60, deadline=None)
def test_a_p_value_falls_with_the_count_and_rises_with_the_traffic(observed: int, stories: int) -> None:
    def p_value(observed: int, stories: int) -> float:
        return Baseline().tails(CYBER, observed, stories, START).p_value

    assert 0 <= p_value(observed, stories) <= 1
    assert p_value(observed + 1, stories) <= p_value(observed, stories)
    assert p_value(observed, 2 * stories) >= p_value(observed, stories)


def test_the_p_values_are_those_of_drawn_counts() -> None:
    """Both tails, against draws from the same posterior."""
    draw = np.random.default_rng(0)
    shares = draw.beta(0.02 * 200, 0.98 * 200, size=400_000)
    drawn = draw.binomial(50, shares)
    spread = 1 / (1 / 4 + Season().dispersion)
    counts = draw.poisson(draw.gamma(spread, 0.02 * 50 / spread, size=400_000))
    for observed in (1, 3, 6):
        tails = Baseline().tails(CYBER, observed, 50, START)
        assert tails.p_share == pytest.approx((drawn >= observed).mean(), rel=0.1)
        assert tails.p_count == pytest.approx((counts >= observed).mean(), rel=0.1)


@given(st.integers(0, 60), st.integers(0, 2000), st.floats(0.1, 50), st.floats(1, 5000))
@settings(max_examples=60, deadline=None)
def test_the_beta_binomial_tail_is_scipys(observed: int, more: int, a: float, b: float) -> None:
    ours = beta_binomial_tail(observed, observed + more, a, b)
    assert ours == pytest.approx(betabinom.sf(observed - 1, observed + more, a, b), rel=1e-6, abs=1e-9)


def test_a_busy_key_expects_more() -> None:
    def learnt(negative: int) -> float:
        baseline = Baseline()
        for step in range(200):
            counts = Counter({CYBER: negative}) if step % 2 else Counter[Key]()
            baseline.learn(START + timedelta(minutes=15 * step), 10, 40, counts)
        return baseline.expected(CYBER, 40)

    assert learnt(3) > 4 * learnt(0)


def season(days: int, calendar: str | None = None) -> Season:
    """Forty stories an hour by day on working days, four at night and at the weekend."""
    found = Season(calendar)
    for step in range(1, days * 96 + 1):
        now = START + timedelta(minutes=15 * step)
        found.learn(now, 10 if busy(now) else 1, 40 if busy(now) else 4)
    return found


def busy(end: datetime) -> bool:
    middle = end - timedelta(minutes=8)
    return middle.weekday() < 5 and 8 <= middle.hour < 18


def test_a_season_knows_nights_after_days_and_sundays_after_weeks() -> None:
    noon, night, sunday = (timedelta(days=21 + day, hours=hour) for day, hour in ((1, 12), (1, 3), (6, 12)))
    known = season(21)
    assert known.usual(START + noon) == pytest.approx(40, rel=0.1)
    assert known.usual(START + night) == pytest.approx(4, rel=0.5)
    assert known.usual(START + sunday) == pytest.approx(4, rel=0.5)
    assert 2 < season(2).usual(START + timedelta(days=2, hours=3)) < 12


def test_a_holiday_is_a_sunday() -> None:
    independence = datetime(2026, 7, 3, 12, tzinfo=UTC)  # the Friday on which it is kept in 2026
    assert season(21, "US").usual(independence) < 0.3 * season(21).usual(independence)


def test_a_country_that_there_is_not() -> None:
    with pytest.raises(InputError, match="--calendar XX"):
        free_days("XX")


def test_a_busy_hour_alone_is_no_surge_and_a_quiet_ones_share_neither() -> None:
    """Twenty times the news with its usual share of trouble; three items on a Sunday night, all of them bad."""
    past = [item(m, f"past{m}", "negative" if m % 25 == 0 else "neutral", ("cyber",)) for m in range(0, 5 * 1440, 5)]
    noon = 5 * 1440 + 600
    rush = [item(noon + n / 5, f"rush{n}", "negative" if n % 5 == 0 else "neutral", ("cyber",)) for n in range(300)]
    assert alerts(past + rush) == []
    quiet = [item(6 * 1440 + 180 + n, f"night{n}", "negative", ("credit",)) for n in range(3)]
    assert alerts(past + quiet) == []


def test_many_positive_items_hide_no_surge() -> None:
    """Seven negative, eight positive and three neutral stories over a calm baseline: their mean says nothing."""
    moods = ["negative"] * 7 + ["positive"] * 8 + ["neutral"] * 3
    random.Random(3).shuffle(moods)
    mixed = [item(5 * 1440 + 600 + 3 * n, f"mixed{n}", each, ("cyber",)) for n, each in enumerate(moods)]
    assert [alert.key for alert in alerts(usual(7) + mixed)] == [CYBER]


def surge(start: float, stories: int, pace: float = 5) -> list[Labelled]:
    return [item(start + pace * n, f"attack{start}x{n} on a firm", "negative", ("cyber",)) for n in range(stories)]


def told(items: list[Labelled]) -> list[dict[str, Any]]:
    """All changes of alerts, as they were told."""
    monitor = Monitor(Stories(), Companies(), Alarms({"name": "m"}))
    found = monitor.take(sorted(items, key=lambda labelled: labelled.item.time))
    return [alert.as_dict() for changes in (found, monitor.end()) for alert in changes]


def test_an_alert_is_told_as_it_opens_grows_and_ends() -> None:
    found = told(usual(7) + surge(5 * 1440 + 600, 60))
    assert [one["revision"] for one in found] == list(range(1, len(found) + 1))
    assert len({one["id"] for one in found}) == 1
    assert [one["status"] for one in found] == ["firing"] * (len(found) - 1) + ["resolved"]
    assert found[-1]["reason"] == "calm"
    assert found[-1]["severity"] == "critical"
    assert 3 <= len(found) <= 2 + 5 + 1  # five hours of surge: an update each at most, and one for its severity
    assert len(found[-2]["evidence"]) > len(found[0]["evidence"])


def test_a_key_is_pending_before_it_surges_and_nobody_is_told() -> None:
    monitor = Monitor(Stories(), Companies(), Alarms({"name": "m"}, budget=1e-6))
    noon = 5 * 1440 + 600
    before = [one for one in usual(6) if one.item.time < START + timedelta(minutes=noon)]
    faint = [*surge(noon, 6, pace=6), item(noon + 46, "later")]
    assert list(monitor.take(sorted([*before, *faint], key=lambda one: one.item.time))) == []
    assert CYBER in monitor.alarms.pending
    assert monitor.firing() == []


def test_a_surge_that_pauses_opens_the_same_alert_again() -> None:
    paused = surge(5 * 1440 + 600, 20) + surge(5 * 1440 + 600 + 360, 20)
    found = told(usual(7) + paused)
    assert len({one["id"] for one in found}) == 1
    assert [one["status"] for one in found].count("resolved") == 2
    later = surge(5 * 1440 + 600, 20) + surge(6 * 1440 + 600, 20)
    assert len({one["id"] for one in told(usual(8) + later)}) == 2


def taken_back(items: list[Labelled], minutes: float, *, by: str) -> list[Labelled]:
    """A correction or retraction of each item."""
    made = []
    for n, one in enumerate(items):
        later = item(minutes + n / 10, f"word{n} of regret", "neutral", ("cyber",))
        made.append(replace(later, item=replace(later.item, **{by: one.item.id})))
    return made


def test_what_a_source_takes_back_updates_and_ends_the_same_alert() -> None:
    start = 5 * 1440 + 600
    false = surge(start, 10)
    one = told(usual(7) + false + taken_back(false[:1], start + 55, by="retracts"))
    assert one[0]["corrected"] == []
    assert one[-1]["corrected"] == [false[0].item.id]
    assert false[0].item.id not in [each["id"] for each in one[-1]["evidence"]]
    assert one[-1]["reason"] == "calm"
    every = told(usual(7) + false + taken_back(false, start + 55, by="retracts"))
    assert every[-1]["reason"] == "retracted"
    assert every[-1]["evidence"] == []
    assert every[-1]["closed"] <= "2026-03-07T11:15:00Z"
    late = told(usual(7) + false + taken_back(false[:1], start + 300, by="corrects"))
    assert [each["status"] for each in late[-2:]] == ["resolved", "resolved"]
    assert late[-1]["corrected"] == [false[0].item.id]
    assert late[-1]["id"] == late[0]["id"]


def edition(one: Labelled, number: int, minutes: float, **what: str) -> Labelled:
    """The item once more, so long after the first edition, in its place or as `what` says."""
    time = one.item.time + timedelta(minutes=minutes)
    new = {"id": f"{one.item.id}#{number}", "published": time, "received": time}
    return replace(one, item=replace(one.item, **new, **(what or {"corrects": one.item.id})))  # type: ignore[arg-type]


def test_a_story_counts_once_however_often_it_is_corrected_and_its_last_edition_stands() -> None:
    news = surge(5 * 1440 + 600, 10)
    corrected = [edition(one, number, 25 * number) for one in news for number in (2, 3, 4, 5)]
    plain, edited = told(usual(7) + news), told(usual(7) + news + corrected)
    for name in ("opened", "closed", "observed", "expected", "p_value", "share"):
        assert edited[-1][name] == plain[-1][name]
    assert {one["id"] for one in edited[-1]["evidence"]} == {f"{one.item.id}#5" for one in news}
    assert len(edited[-1]["corrected"]) == 40


def test_a_retraction_ends_every_edition_and_no_older_one_comes_back() -> None:
    news = surge(5 * 1440 + 600, 10)
    corrected = [edition(one, 2, 20) for one in news]
    gone = [edition(one, 9, 45, retracts=one.item.id) for one in news]
    late = [replace(edition(one, 3, 30), placed=one.item.time + timedelta(minutes=50)) for one in news]
    items = sorted([*usual(7), *news, *corrected, *gone, *late], key=lambda one: one.time)
    monitor = Monitor(Stories(), Companies(), Alarms({"name": "m"}))
    found = [alert.as_dict() for alert in monitor.take(items)]
    assert (found[-1]["reason"], found[-1]["evidence"]) == ("retracted", [])


def test_a_story_that_others_still_tell_stands() -> None:
    start = 5 * 1440 + 600
    news = surge(start, 10)
    again = []
    for one in news:
        later = one.item.time + timedelta(minutes=2)
        again.append(replace(one, item=replace(one.item, id=f"{one.item.id}-again", published=later, received=later)))
    found = told(usual(7) + news + again + taken_back(news, start + 55, by="retracts"))
    assert found[-1]["reason"] == "calm"
    assert {each["id"] for each in found[-1]["evidence"]} == {one.item.id for one in again}


def test_a_surge_over_many_topics_is_one_of_all_news() -> None:
    topics = [f"topic{n}" for n in range(16)]
    crash = [item(5 * 1440 + 600 + n, f"crash{n}", "negative", (topics[n % 16],)) for n in range(48)]
    assert [alert.key for alert in alerts(usual(7) + crash)] == [ALL]


def test_decades_of_silence_are_not_stepped_through() -> None:
    assert told([item(0, "a"), item(60 * 24 * 365 * 40, "b")]) == []


def events() -> Iterator[backtest.Event]:
    for day, kind in ((1, "surge"), (2, "decoy"), (3, "surge")):
        start = START + timedelta(days=day)
        yield backtest.Event(kind, CYBER, start, start + timedelta(hours=2), "")


def alert(day: float, key: Key = CYBER) -> Alert:
    return Alert(key, START + timedelta(days=day, minutes=30), 9, 0.5, Tails(0.1, 0.01, 1e-9, 1e-9), 1e-5, {})


def test_a_backtest_counts_found_missed_and_false() -> None:
    score = backtest.score([alert(1), alert(2), alert(5, Key("company", "X"))], events())
    assert score.recall == 0.5
    assert score.max_delay_windows == 0.5
    assert [found.opened.day for found in score.false_alarms] == [4, 7]


def test_what_became_of_an_old_alert_is_told_and_not_kept() -> None:
    surge = [item(2000 + 5 * n, f"attack{n} on a firm", "negative", ("cyber",)) for n in range(30)]
    ordered = sorted(usual(6) + surge, key=lambda labelled: labelled.item.time)
    monitor = Monitor(Stories(), Companies(), Alarms({"name": "m"}))
    told, known = [], set()
    for one in ordered:
        told += list(monitor.take([one]))
        known |= monitor.alerts.keys()
    assert {alert.id for alert in told} == known
    assert told[-1].status == "resolved"
    assert not monitor.alerts
