"""NAB's rules of scoring, on cases worked by hand and against a plain reading of the rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.nab_rules import PROFILES, Curve, Profile, Worth

STANDARD = PROFILES["standard"]
WINDOWS = [(30, 39), (60, 69)]
"""Of a series of 100 steps, the first 15 in probation."""


def detected(*steps: int) -> np.ndarray:
    scores = np.zeros(100)
    scores[list(steps)] = 1.0
    return scores


def score(*steps: int, profile: Profile = STANDARD) -> float:
    return Curve([detected(*steps)], [Worth(100, WINDOWS)], profile).at(1.0)


def sigmoid(place: float) -> float:
    """As the paper's equation 1 has it: 2 / (1 + exp(5 place)) - 1, and -1 three windows on."""
    return -1.0 if place >= 3 else 2 / (1 + math.exp(5 * place)) - 1


def test_every_window_found_at_once_is_perfect_and_nothing_found_is_zero() -> None:
    assert score(30, 60) == pytest.approx(1.0)
    assert Curve([detected()], [Worth(100, WINDOWS)], STANDARD).best() == (0.0, math.inf)


def test_a_window_earns_once_for_its_first_detection() -> None:
    half = sigmoid(-0.5) / sigmoid(-1.0)  # step 35 is five steps from behind the end of ten
    assert half == pytest.approx(0.84828 / 0.98661, abs=1e-5)
    assert score(35) == pytest.approx((half + 1) / 4)
    assert score(35, 36, 39) == pytest.approx((half + 1) / 4)


def test_a_false_positive_costs_less_right_behind_a_window() -> None:
    assert score(20) == pytest.approx(-0.11 / 4)
    assert score(40) == pytest.approx(0.11 * sigmoid(1 / 9) / 4)
    assert score(69 + 27) == pytest.approx(-0.11 / 4)
    assert score(40, 41) == pytest.approx(0.11 * (sigmoid(1 / 9) + sigmoid(2 / 9)) / 4)


def test_the_probation_is_not_judged_and_lasts_750_steps_at_most() -> None:
    assert score(0, 14) == 0.0
    assert score(15) < 0.0
    assert Worth(20_000, [(1000, 1100)]).judged[0] == 750


def test_profiles_weigh_errors() -> None:
    found, false = sigmoid(-0.5) / sigmoid(-1.0), -0.11
    assert score(35, 20, profile=PROFILES["reward_low_FP_rate"]) == pytest.approx((found + 1 + 2 * false) / 4)
    assert score(35, 20, profile=PROFILES["reward_low_FN_rate"]) == pytest.approx((found + 2 + false) / 6)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=100, max_size=100), min_size=1, max_size=3),
    st.sampled_from(sorted(PROFILES)),
)
def test_the_threshold_of_most_worth_is_that_of_trying_all(rows: list[list[int]], name: str) -> None:
    profile = PROFILES[name]
    scores = [np.array(row, dtype=float) for row in rows]
    curve = Curve(scores, [Worth(100, WINDOWS)] * len(rows), profile)
    tried = {threshold: sum(plain(row, threshold, profile) for row in rows) for threshold in (0, 1, 2, 3, 4, math.inf)}
    perfect = (1 + profile.miss) * 2 * len(rows)
    for threshold, total in tried.items():
        assert curve.at(threshold) == pytest.approx(total / perfect)
    assert curve.best()[0] == pytest.approx(max(tried.values()) / perfect)


def plain(row: list[int], threshold: float, profile: Profile) -> float:
    """What detections are worth above none, step by step."""
    total, found = 0.0, set()
    for step in range(15, 100):
        if row[step] < threshold:
            continue
        inside = [window for window in WINDOWS if window[0] <= step <= window[1]]
        before = [window for window in WINDOWS if window[1] < step]
        if inside:
            if inside[0] not in found:
                total += profile.miss + sigmoid((step - inside[0][1] - 1) / 10) / sigmoid(-1.0)
            found.add(inside[0])
        else:
            total += profile.false_positive * (sigmoid((step - before[-1][1]) / 9) if before else -1.0)
    return total
