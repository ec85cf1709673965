"""Watch: steps of the wire in, notices of volume and drift out."""

from __future__ import annotations

import io
import pickle
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from apps.finance_monitor import watch
from apps.finance_monitor.alarms import Alarms
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.journal import _Loader
from apps.finance_monitor.monitor import Monitor
from apps.finance_monitor.stories import Stories
from apps.finance_monitor.watch import Notice, Watch
from apps.finance_monitor.windows import ALL, STEP, Key, Step
from tests.finance_monitor.test_alarms import item, usual

START = datetime(2026, 3, 2, tzinfo=UTC)
BANKS, CYBER = Key("topic", "banks"), Key("topic", "cyber")
DAY = timedelta(days=1) // STEP
"""Steps."""


def wire(days: int, seed: int = 1, share: float = 0.2) -> list[Step]:
    """Eight stories an hour, half of them on one of two topics."""
    draw = np.random.default_rng(seed)
    steps = []
    for _ in range(days * DAY):
        told = Counter({key: int(draw.poisson(0.5)) for key in (BANKS, CYBER)})
        negative = Counter({key: int(draw.binomial(stories, share)) for key, stories in told.items()})
        negative[ALL] = negative.total()
        steps.append(Step(told.total() + int(draw.poisson(1.0)), told, negative))
    return steps


def notices(steps: Sequence[Step], watched: Watch | None = None, first: int = 0) -> list[Notice]:
    watched = watched or Watch()
    return [one for number, step in enumerate(steps, first + 1) for one in watched.step(START + number * STEP, step)]


def told(found: list[Notice]) -> list[tuple[str, Key, bool]]:
    return [(one.kind, one.key, one.opened) for one in found]


def test_usual_news_is_not_told_of() -> None:
    assert notices(wire(28)) == []


def test_a_flood_of_news_on_a_key_begins_and_ends() -> None:
    steps = wire(21)
    for number in range(20 * DAY, 20 * DAY + 8):
        steps[number].told[BANKS] += 25
        steps[number].stories += 25
    found = notices(steps)
    assert sorted(told(found)) == sorted([("volume", key, opened) for key in (ALL, BANKS) for opened in (True, False)])
    begun = next(one for one in found if one.key == ALL)
    assert begun.since == START + (20 * DAY + 2) * STEP or begun.since == START + (20 * DAY + 1) * STEP
    assert begun.observed > 25 > begun.expected
    assert begun.p_value < 0.025


def test_a_share_that_creeps_up_drifts_without_any_more_news() -> None:
    steps = wire(28) + wire(10, seed=2, share=0.5)
    found = notices(steps)
    assert {kind for kind, _, _ in told(found)} == {"drift"}
    assert {key for _, key, _ in told(found)} == {ALL, BANKS, CYBER}
    assert all(one.since > START + timedelta(days=28, hours=12) for one in found)
    assert all(one.observed > 1.5 * one.expected for one in found if one.opened)


def test_a_kept_watch_goes_on_the_same() -> None:
    steps = wire(12) + wire(6, seed=3, share=0.7)
    whole = Watch()
    expected = notices(steps, whole)
    kept = Watch()
    first = notices(steps[: 13 * DAY + 5], kept)
    again = _Loader(io.BytesIO(pickle.dumps(kept))).load()
    assert first + notices(steps[13 * DAY + 5 :], again, 13 * DAY + 5) == expected
    assert expected


def test_a_key_is_not_told_of_before_day_and_night_were_seen() -> None:
    assert notices([*wire(1), *([Step(500, Counter({BANKS: 500}), Counter())] * 4)]) == []


def test_so_many_keys_are_followed_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_KEYS", 20)
    watched, first, size = Watch(), 0, []
    for names in (30, 300):
        steps = [
            Step(3, Counter({Key("company", f"{first + number} Inc"): 1}), Counter()) for number in range(4 * names)
        ]
        notices(steps, watched, first)
        first += len(steps)
        size.append(len(pickle.dumps(watched)))
    assert size[1] < 1.5 * size[0]


def test_a_monitor_tells_of_volume_when_it_is_asked_to() -> None:
    """A month of about six stories an hour, and one hour of a hundred without a bad one among them."""
    noon = 30 * 1440 + 720
    rush = [item(noon + n / 2, f"rush{n}", "neutral", ("products",)) for n in range(100)]
    found = {}
    for asked in (False, True):
        monitor = Monitor(Stories(), Companies(), Alarms({"name": "m"}, budget=5.0))
        monitor.notices.told = asked
        news = sorted(usual(32, a_day=144) + rush, key=lambda one: one.item.time)
        told = (alert for part in (monitor.take(news), monitor.end()) for alert in part)
        found[asked] = [alert.as_dict() for alert in told if alert.kind != "surge"]
    assert found[False] == []
    volume = [one for one in found[True] if one["kind"] == "volume"]
    assert {one["severity"] for one in volume} == {"info"}
    assert [one["status"] for one in volume if one["id"] == volume[0]["id"]] == ["firing", "resolved"]
