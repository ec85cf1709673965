"""Matrices and factors of behaviour against slow loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from apps.recommender import behaviour
from apps.recommender.behaviour import NAMES, SHRINK, WINDOW, Behaviour, Kind
from tests.recommender.test_past import COUNT, histories, past_of

LISTS = [[0, 1, 2, 3], [1, 2, 4], [0, 2, 2, 5], [6, 1, 0], [3, 4]]


@given(histories)
@settings(max_examples=25, deadline=None)
def test_matrices_count_what_came_after_what(lists: list[list[int]]) -> None:
    follow, right_after = np.zeros((COUNT, COUNT)), np.zeros((COUNT, COUNT))
    for one in lists:
        for at, item in enumerate(one):
            for lag, other in enumerate(one[at + 1 : at + 1 + WINDOW], 1):
                if other != item:
                    follow[item, other] += 1 / lag
                    right_after[item, other] += lag == 1
    fitted = Behaviour.fit(past_of(lists), COUNT, seed=1).matrices
    shares = right_after / (right_after.sum(axis=1, keepdims=True) + SHRINK)
    np.testing.assert_allclose(fitted["next"].toarray(), shares, rtol=1e-4)
    lift = follow / np.sqrt(np.outer(follow.sum(axis=1) + SHRINK, follow.sum(axis=0) + SHRINK))
    np.testing.assert_allclose(fitted["follow_lift"].toarray(), lift, rtol=1e-4)
    np.testing.assert_allclose(fitted["before"].toarray(), lift.T, rtol=1e-4)


def test_a_user_folded_in_solves_their_least_squares() -> None:
    factors = np.random.default_rng(0).standard_normal((COUNT, 3)).astype(np.float32)
    kind = Kind(3, 20.0, 5.0)
    found = behaviour._folded_in(past_of([*LISTS, []]), factors, behaviour._gram(factors, kind), kind.alpha)
    for one, user in zip([*LISTS, []], found, strict=True):
        left, right = factors.T @ factors + kind.regularisation * np.eye(3), np.zeros(3)
        for age, item in enumerate(reversed(one)):
            fresh = 0.5 ** (age / behaviour.HALF)
            left += fresh * kind.alpha * np.outer(factors[item], factors[item])
            right += fresh * (1 + kind.alpha) * factors[item]
        np.testing.assert_allclose(user, np.linalg.solve(left, right), rtol=1e-3, atol=1e-5)


def test_an_item_added_since_scores_nothing_and_a_stored_part_scores_the_same(tmp_path: Path) -> None:
    fitted = Behaviour.fit(past_of(LISTS), COUNT, seed=1)
    owners, candidates = np.array([0, 1, 1, 0]), np.array([4, 5, COUNT, COUNT + 3], np.int32)
    found = fitted.features(past_of(LISTS), owners, candidates)
    assert found.shape == (4, len(NAMES))
    assert not found[2:].any()
    assert found[:2].any()
    fitted.save(tmp_path)
    assert (Behaviour.load(tmp_path).features(past_of(LISTS), owners, candidates) == found).all()
    alone = fitted.features(past_of(LISTS[1:2]), np.array([0]), candidates[1:2])
    assert alone[0] == pytest.approx(found[1], abs=1e-6)
