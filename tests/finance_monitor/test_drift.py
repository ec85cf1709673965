"""Drift: a share that has crept up for days is found; usual news drifts no more often than the level allows."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from apps.finance_monitor.drift import ADAPTED, BLOCK, CLUSTERS, Drift

DAY = timedelta(days=1) // BLOCK
"""Blocks."""


def blocks(days: int, share: float, a_day: float, draw: np.random.Generator, clustered: bool = False) -> np.ndarray:
    """Stories and negative ones of each block."""
    stories = draw.poisson(a_day / DAY, days * DAY)
    shares = draw.beta(share * CLUSTERS, (1 - share) * CLUSTERS, days * DAY) if clustered else share
    return np.stack([stories, draw.binomial(stories, shares)], axis=1)


def alarms(drift: Drift, news: np.ndarray, alpha: float) -> list[tuple[int, bool]]:
    """Blocks at which a drift began (True) or ended."""
    changes = [(number, drift.take(int(n), int(k), alpha)) for number, (n, k) in enumerate(news)]
    found: list[tuple[int, bool]] = []
    for number, changed in changes:
        if changed:
            found.append((number, not found or not found[-1][1]))
    return found


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize(("share", "a_day"), [(0.05, 200.0), (0.2, 20.0), (0.4, 100.0)])
def test_usual_news_drifts_no_more_often_than_the_level_allows(share: float, a_day: float, clustered: bool) -> None:
    draw, alpha, days, keys = np.random.default_rng(7), 0.005, 200, 12
    begun = sum(
        is_begun
        for _ in range(keys)
        for _, is_begun in alarms(Drift(), blocks(days, share, a_day, draw, clustered), alpha)
    )
    assert begun <= alpha * days * DAY * keys


@pytest.mark.parametrize(("share", "a_day"), [(0.1, 100.0), (0.2, 40.0), (0.3, 20.0)])
def test_a_share_doubled_for_a_week_is_found(share: float, a_day: float) -> None:
    draw, trials, found = np.random.default_rng(3), 20, 0
    for _ in range(trials):
        news = np.concatenate([blocks(28, share, a_day, draw), blocks(7, 2 * share, a_day, draw)])
        found += any(begun and number >= 28 * DAY for number, begun in alarms(Drift(), news, 1e-4))
    assert found >= 0.9 * trials


def test_a_drift_ends_when_the_share_is_usual_again() -> None:
    draw = np.random.default_rng(5)
    news = np.concatenate([blocks(28, 0.2, 100, draw), blocks(7, 0.5, 100, draw), blocks(14, 0.2, 100, draw)])
    drift = Drift()
    (begun, is_begun), (ended, is_still) = alarms(drift, news, 1e-4)
    assert is_begun
    assert not is_still
    assert 28 * DAY + 2 <= begun < 31 * DAY
    assert 35 * DAY < ended < 45 * DAY
    assert drift.share < 0.3


def test_a_drift_that_lasts_becomes_usual() -> None:
    draw = np.random.default_rng(5)
    news = np.concatenate([blocks(28, 0.2, 100, draw), blocks(60, 0.5, 100, draw)])
    drift = Drift()
    found = alarms(drift, news, 1e-4)
    assert not drift.firing
    assert found[1][0] - found[0][0] <= ADAPTED // BLOCK
    assert drift.share == pytest.approx(0.4, abs=0.08)


def test_one_mad_block_is_no_drift() -> None:
    draw = np.random.default_rng(5)
    drift = Drift()
    assert alarms(drift, blocks(28, 0.1, 100, draw), 1e-3) == []
    assert not drift.take(300, 300, 1e-3)
    assert alarms(drift, blocks(28, 0.1, 100, draw), 1e-3) == []


def test_a_key_little_is_known_of_does_not_drift() -> None:
    drift = Drift()
    assert not any(drift.take(2, 2, 0.01) for _ in range(49))
    assert drift.evidence == 0.0
