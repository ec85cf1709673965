"""Alarms: surges of distinct negative stories alarm once; retellings, recaps and usual news do not."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance_monitor import backtest
from apps.finance_monitor.alarms import Alarms, Alert
from apps.finance_monitor.baseline import Baseline
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.items import NewsItem
from apps.finance_monitor.labels import Label, Labelled
from apps.finance_monitor.monitor import Monitor
from apps.finance_monitor.stories import Stories
from apps.finance_monitor.windows import WINDOW, Key, Mention, Window

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
    for _ in (*monitor.take(sorted(items, key=lambda labelled: labelled.item.time)), *monitor.end()):
        pass
    return list(monitor.alerts.values())


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
    assert document["evidence"][0].keys() == {"id", "title"}


def test_a_smaller_budget_raises_no_alarm_that_a_greater_does_not() -> None:
    faint = [item(5 * 1440 + 600 + 8 * n, f"attack{n} on a firm", "negative", ("cyber",)) for n in range(6)]
    busy = usual(7, a_day=600) + faint
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


@given(st.integers(1, 40), st.floats(1, 500))
@settings(max_examples=60, deadline=None)
def test_a_p_value_falls_with_the_count_and_rises_with_the_traffic(observed: int, stories: float) -> None:
    baseline = Baseline()
    p_value = baseline.p_value(CYBER, observed, stories)
    assert 0 <= p_value <= 1
    assert baseline.p_value(CYBER, observed + 1, stories) <= p_value
    assert baseline.p_value(CYBER, observed, stories * 2) >= p_value


def test_the_p_value_is_that_of_drawn_counts() -> None:
    """The negative binomial tail, against Gamma-Poisson draws of the same posterior."""
    baseline = Baseline()
    random_ = np.random.default_rng(0)
    rates = random_.gamma(0.02 * 200, 1 / 200, size=400_000)
    drawn = random_.poisson(rates * 50)
    for observed in (1, 3, 6):
        assert baseline.p_value(CYBER, observed, 50) == pytest.approx((drawn >= observed).mean(), rel=0.1)


def test_a_busy_key_expects_more() -> None:
    def learnt(negative: int) -> float:
        baseline = Baseline()
        for step in range(200):
            counts: dict[Key, int] = {CYBER: negative} if step % 2 else {}
            from collections import Counter

            baseline.learn(START + timedelta(minutes=15 * step), 10, Counter(counts))
        return baseline.expected(CYBER, 40)

    assert learnt(3) > 4 * learnt(0)


def events() -> Iterator[backtest.Event]:
    for day, kind in ((1, "surge"), (2, "decoy"), (3, "surge")):
        start = START + timedelta(days=day)
        yield backtest.Event(kind, CYBER, start, start + timedelta(hours=2), "")


def alert(day: float, key: Key = CYBER) -> Alert:
    return Alert(key, START + timedelta(days=day, minutes=30), 9, 0.1, 0.5, 1e-9, {})


def test_a_backtest_counts_found_missed_and_false() -> None:
    score = backtest.score([alert(1), alert(2), alert(5, Key("company", "X"))], events())
    assert score.recall == 0.5
    assert score.max_delay_windows == 0.5
    assert [found.opened.day for found in score.false_alarms] == [4, 7]
