"""Figures: metrics, intervals and calibration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from engine.evaluate import calibration, intervals, metrics

RANDOM = np.random.default_rng(0)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_f1_is_scikit_learns(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, probabilities = random.integers(0, 4, 60), random.random((60, 4))
    rows = np.arange(60)
    found = metrics.single_label(truth, probabilities)
    answer = probabilities.argmax(1)
    assert found["macro_f1"](rows) == pytest.approx(f1_score(truth, answer, average="macro"))
    assert found["accuracy"](rows) == pytest.approx((truth == answer).mean())
    many = (random.random((60, 4)) < 0.3).astype(float)
    found = metrics.multi_label(many, probabilities)
    assert found["micro_f1"](rows) == pytest.approx(f1_score(many, probabilities >= 0.5, average="micro"))
    assert found["macro_f1"](rows) == pytest.approx(f1_score(many, probabilities >= 0.5, average="macro"))


def test_an_interval_holds_the_figure_and_narrows_with_rows() -> None:
    right = RANDOM.random(400) < 0.8

    def width(rows: int) -> float:
        value, low, high = intervals.bootstrap(lambda over: float(right[:rows][over].mean()), range(rows))
        assert low <= value <= high
        return high - low

    assert width(400) < 0.7 * width(100)


def test_clustered_rows_widen_the_interval() -> None:
    right = np.repeat(RANDOM.random(40) < 0.7, 10)

    def width(clusters: list[int]) -> float:
        _, low, high = intervals.bootstrap(lambda over: float(right[over].mean()), clusters)
        return high - low

    assert width([row // 10 for row in range(400)]) > 2 * width(list(range(400)))


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_a_scale_and_keeps_the_order(factor: float) -> None:
    logits = RANDOM.normal(size=(4000, 3)) * 2
    truth = np.array([RANDOM.choice(3, p=p) for p in calibration.probabilities(logits, 1.0, multi_label=False)])
    found = calibration.fit_temperature(logits * factor, truth, multi_label=False)
    assert found == pytest.approx(factor, rel=0.15)
    before = calibration.probabilities(logits * factor, 1.0, multi_label=False)
    after = calibration.probabilities(logits * factor, found, multi_label=False)
    assert (before.argmax(1) == after.argmax(1)).all()
    assert calibration.head_ece(after, truth, multi_label=False) < 0.03
    if factor != 1.0:
        assert calibration.head_ece(before, truth, multi_label=False) > 0.05


def test_a_multi_label_head_is_calibrated_too() -> None:
    logits = RANDOM.normal(size=(3000, 4)) * 2
    truth = (RANDOM.random(logits.shape) < calibration.probabilities(logits, 1.0, multi_label=True)).astype(float)
    assert calibration.fit_temperature(logits * 3, truth, multi_label=True) == pytest.approx(3, rel=0.15)


def test_calibration_error_of_known_cases() -> None:
    sure = np.full(100, 0.95)
    assert calibration.ece(sure, np.ones(100, bool)) == pytest.approx(0.05)
    assert calibration.ece(sure, np.zeros(100, bool)) == pytest.approx(0.95)


def test_extreme_logits_do_not_overflow() -> None:
    logits = np.array([[1e4, -1e4, 0.0]])
    assert calibration.probabilities(logits, 0.05, multi_label=False)[0] == pytest.approx([1, 0, 0])
    assert calibration.probabilities(logits, 0.05, multi_label=True)[0] == pytest.approx([1, 0, 0.5])
