"""Diversity against slow references that follow the definitions; its cost within the bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommender.diversity import diversify, dpp, mmr
from engine.errors import InputError

seeds = st.integers(0, 10_000)
shares = st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0])


def case(seed: int, count: int = 8, width: int = 9) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, width))
    return random.random(count), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def slow_mmr(scores, vectors, k, diversity):
    chosen: list[int] = []
    while len(chosen) < k:
        worth = {
            row: (1 - diversity) * scores[row]
            - diversity * max((float(vectors[row] @ vectors[other]) for other in chosen), default=0.0)
            for row in range(len(scores))
            if row not in chosen
        }
        chosen.append(max(worth, key=worth.__getitem__))
    return chosen


def slow_dpp(scores, vectors, k, diversity):
    chosen: list[int] = []
    while len(chosen) < k:
        worth = {}
        for row in set(range(len(scores))) - set(chosen):
            rows = [*chosen, row]
            volume = np.linalg.slogdet(vectors[rows] @ vectors[rows].T)[1]
            worth[row] = (1 - diversity) * scores[rows].sum() + (diversity * volume if diversity else 0.0)
        chosen.append(max(worth, key=worth.__getitem__))
    return chosen


@settings(max_examples=40, deadline=None)
@given(seeds, shares, st.integers(1, 8))
def test_both_methods_choose_as_their_definitions_do(seed, diversity, k):
    scores, vectors = case(seed)
    assert mmr(scores, vectors, k, diversity).tolist() == slow_mmr(scores, vectors, k, diversity)
    if diversity < 1:  # at 1 every first item is as good as another
        assert dpp(scores, vectors, k, diversity).tolist() == slow_dpp(scores, vectors, k, diversity)


@settings(max_examples=30, deadline=None)
@given(seeds, shares, st.sampled_from(["mmr", "dpp"]), st.integers(1, 12))
def test_copies_are_neither_lost_nor_doubled(seed, diversity, method, k):
    scores, vectors = case(seed, 6, 3)
    scores, vectors = np.tile(scores, 2), np.tile(vectors, (2, 1))  # rank 3, each item twice
    chosen = {"mmr": mmr, "dpp": dpp}[method](scores, vectors, k, diversity)
    assert len(set(chosen.tolist())) == len(chosen) == k


@settings(max_examples=60, deadline=None)
@given(seeds, shares, shares, st.sampled_from(["mmr", "dpp"]), st.integers(1, 10))
def test_the_cost_stays_within_the_bound_and_receipts_add_up(seed, diversity, most, method, k):
    scores, vectors = case(seed, 10)
    names = [f"i{n}" for n in range(10)]
    found = diversify(names, scores, vectors, k, diversity=diversity, max_loss=most / 10, method=method)
    assert sorted(found.order.tolist()) == list(range(10))
    gains = (scores - scores.min()) / np.ptp(scores)
    weights = 1 / np.log2(np.arange(k) + 2)
    loss = 1 - gains[found.order[:k]] @ weights / (np.sort(gains)[::-1][:k] @ weights)
    assert loss == pytest.approx(found.loss, abs=1e-12)
    assert loss <= most / 10 + 1e-12
    assert found.used <= diversity
    moved = {one.item_id: one.added for one in found.receipts}
    np.testing.assert_allclose(scores + [moved.get(name, 0.0) for name in names], found.scores)
    assert (np.diff(found.scores[found.order]) <= 0).all()


def test_more_is_spent_where_more_is_allowed():
    scores, vectors = case(3, 60, 4)
    names = [str(n) for n in range(60)]

    def spread(most: float) -> tuple[float, float]:
        found = diversify(names, scores, vectors, 10, diversity=0.8, max_loss=most)
        cosines = vectors[found.order[:10]] @ vectors[found.order[:10]].T
        return found.used, float(1 - (cosines.sum() - 10) / 90)

    (none, alike), (some, apart), (all_, _) = spread(0.0), spread(0.05), spread(0.5)
    assert none < some < all_ == 0.8
    assert alike < apart


def test_a_setting_out_of_range_is_named():
    scores, vectors = case(1)
    with pytest.raises(InputError, match="max_loss is 2"):
        diversify([""] * 8, scores, vectors, 3, diversity=0.5, max_loss=2)
    with pytest.raises(InputError, match="there are mmr, dpp"):
        diversify([""] * 8, scores, vectors, 3, diversity=0.5, max_loss=0, method="random")
    assert diversify([], np.zeros(0), np.zeros((0, 3)), 3, diversity=0.5, max_loss=0.1).order.tolist() == []
