"""Exploration: what is drawn has the propensity that is logged."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommender.exploration import plackett_luce, propensities
from engine.errors import InputError

SCORES = np.array([1.0, 0.2, 0.5, 0.9])


def test_lists_come_as_often_as_their_propensity_says():
    drawn = Counter(tuple(plackett_luce(SCORES, 2, temperature=0.5, seed=(7, n)).order.tolist()) for n in range(6000))
    total = 0.0
    for pair in itertools.permutations(range(4), 2):
        chance = float(propensities(SCORES, np.array(pair), temperature=0.5).prod())
        total += chance
        assert drawn[pair] / 6000 == pytest.approx(chance, abs=4 * np.sqrt(chance / 6000))
    assert total == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9), st.integers(1, 9), st.floats(0.01, 10), st.integers(0, 99))
def test_the_logged_propensity_is_the_softmax_of_those_left(scores, k, temperature, seed):
    values = np.array(scores)
    found = plackett_luce(values, k, temperature=temperature, seed=seed)
    left = set(range(len(scores)))
    for row, chance in zip(found.order.tolist(), found.propensities, strict=True):
        logits = np.array([values[other] - values[row] for other in left]) / temperature
        assert chance == pytest.approx(1 / np.exp(np.minimum(logits, 700)).sum(), rel=1e-6)
        left.remove(row)
    np.testing.assert_allclose(propensities(values, found.order, temperature=temperature), found.propensities)
    again = plackett_luce(values, k, temperature=temperature, seed=seed)
    assert again.order.tolist() == found.order.tolist()


def test_pinned_places_are_not_drawn_and_have_propensity_one():
    for seed in range(20):
        found = plackett_luce(SCORES, 3, temperature=5, seed=seed, pinned=(0, 7))
        assert found.order[0] == 0
        assert found.propensities[0] == 1
        assert sorted({0, *found.order.tolist()}) == sorted(found.order.tolist())
        chance = np.exp(SCORES[found.order[1]] / 5) / np.exp(SCORES[1:] / 5).sum()
        assert found.propensities[1] == pytest.approx(chance)


def test_without_temperature_nothing_is_explored():
    found = plackett_luce(SCORES, 3, temperature=0, seed=1)
    assert found.order.tolist() == [0, 3, 2]
    assert found.propensities.tolist() == [1, 1, 1]
    assert propensities(SCORES, np.array([0, 2]), temperature=0).tolist() == [1, 0]
    with pytest.raises(InputError, match="give a number from 0"):
        plackett_luce(SCORES, 3, temperature=-1, seed=1)
