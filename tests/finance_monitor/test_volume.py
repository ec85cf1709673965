"""Volume: counts out of proportion are told once, for what is usual at that hour of that wire."""

from __future__ import annotations

import io
import pickle
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance_monitor.journal import _Loader
from apps.finance_monitor.volume import Reading, Volume

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 2, tzinfo=UTC)


def usual(days: int, mean: float = 20.0, seed: int = 1, noise: float = 10.0) -> list[int]:
    """Hourly counts of busy days and quiet nights, noisier than Poisson's."""
    draw = np.random.default_rng(seed)
    hours = np.arange(days * 24) % 24
    rate = mean * np.exp(0.8 * np.cos((hours - 14) / 24 * 2 * np.pi))
    return [int(count) for count in draw.poisson(rate * draw.gamma(noise, 1 / noise, len(hours)))]


def readings(counts: list[int], volume: Volume | None = None, start: datetime = START) -> list[Reading]:
    volume = volume or Volume(HOUR)
    return [volume.take(start + number * HOUR, count) for number, count in enumerate(counts)]


def test_usual_days_hold_such_a_p_value_no_more_often_than_it_says() -> None:
    wires = [readings(usual(60, mean=4.0**seed, seed=seed)) for seed in range(6)]
    days = 60 * len(wires)
    for alpha in (0.02, 0.1, 0.3):
        assert sum(reading.p_value < alpha for wire in wires for reading in wire) <= alpha * days


def test_a_burst_is_told_once_and_weighs_more_the_louder_it_is() -> None:
    found = {}
    for size in (200, 400):
        counts = usual(14)
        counts[-12:-9] = [size, size * 2 // 3, size // 2]
        told = [(number, reading) for number, reading in enumerate(readings(counts)) if reading.p_value < 0.1]
        assert [number for number, _ in told] == [14 * 24 - 12]
        found[size] = told[0][1]
        assert found[size].expected < 60
    assert found[400].p_value < found[200].p_value < 0.05


def test_what_is_usual_at_noon_is_an_anomaly_at_night() -> None:
    counts = usual(28, mean=60.0, noise=100.0)
    noon, night = 27 * 24 + 14, 26 * 24 + 2
    counts[night] = counts[noon]
    found = readings(counts)
    assert abs(found[noon].deviation) < 2.5
    assert found[night].deviation > 3 * abs(found[noon].deviation)
    assert found[night].expected < found[noon].expected / 2


def test_a_level_that_stays_is_news_no_more() -> None:
    found = readings(usual(14) + [4 * count for count in usual(21, seed=2)])
    begun = 14 * 24
    assert min(reading.p_value for reading in found[begun : begun + 24]) < 0.1
    assert min(reading.p_value for reading in found[-14 * 24 :]) > 0.1
    assert found[-10].expected > 2.5 * found[begun - 10].expected


def test_a_wire_that_bursts_often_must_burst_louder() -> None:
    counts = usual(28)
    quiet = list(counts)
    for day in range(28):
        counts[24 * day + 7 * day % 24] = 300
    counts[-3] = quiet[-3] = 300
    assert readings(quiet)[-3].p_value < 0.05
    assert readings(counts)[-3].p_value > 0.1


def test_one_anomaly_does_not_make_itself_usual() -> None:
    counts = usual(14)
    before = readings(counts)
    counts[200] = 100_000
    after = readings(counts)
    assert after[-1].expected == pytest.approx(before[-1].expected, rel=0.25)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=100), st.data())
def test_nothing_is_known_of_what_comes_and_a_kept_state_goes_on_the_same(
    counts: list[int], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(counts)))
    volume = Volume(HOUR)
    first = readings(counts[:cut], volume)
    whole = readings(counts)
    assert whole[:cut] == first
    again = _Loader(io.BytesIO(pickle.dumps(volume))).load()
    assert readings(counts[cut:], again, START + cut * HOUR) == whole[cut:]
    assert all(0 < reading.p_value <= 1 and reading.expected >= 0 for reading in whole)


def test_memory_is_bounded() -> None:
    volume = Volume(HOUR)
    sizes = []
    for counts in (list(range(480, 0, -1)), list(range(4800, 0, -1))):
        readings(counts, volume)
        sizes.append(len(pickle.dumps(volume)))
    assert sizes[1] <= 1.25 * sizes[0]  # longer numbers, no more of them
