"""Metrics against slow references that follow their definitions, and against scikit-learn where it agrees."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from apps.recommender import metrics
from apps.recommender.candidates import Candidates
from apps.recommender.intervals import bootstrap
from apps.recommender.metrics import Ranking
from engine.errors import InputError

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=7)
many = st.lists(rows, min_size=1, max_size=6)
K = 3


def lists_of(given_rows: list[list[tuple[int, int]]]) -> tuple[Candidates, Ranking]:
    """Lists of (score, gain) rows; few values, so that ties are many."""
    candidates = Candidates.of(
        (f"u{n % 3}", [f"i{place}" for place in range(len(one))], [float(gain) for _, gain in one])
        for n, one in enumerate(given_rows)
    )
    scores = np.array([score for one in given_rows for score, _ in one], dtype=np.float64)
    return candidates, Ranking.of(candidates, scores)


def worst(one: list[tuple[int, int]]) -> list[int]:
    """Gains in the worst of all orders that the scores allow."""
    orders = [
        [gain for _, gain in order]
        for order in itertools.permutations(one)
        if all(a >= b for (a, _), (b, _) in itertools.pairwise(order))
    ]
    return min(orders)


def dcg(gains: list[int]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains[:K]))


@settings(max_examples=40, deadline=None)
@given(many)
def test_every_metric_follows_its_definition_in_the_worst_order_that_ties_allow(given_rows):
    _, ranking = lists_of(given_rows)
    found = zip(ranking.ndcg(K), ranking.mrr(), ranking.recall(K), ranking.auc(), given_rows, strict=True)
    for ndcg, mrr, recall, auc, one in found:
        gains = worst(one)
        wanted = [place for place, gain in enumerate(gains) if gain]
        if not wanted:
            assert np.isnan([ndcg, mrr, recall, auc]).all()
            continue
        assert ndcg == pytest.approx(dcg(gains) / dcg(sorted(gains, reverse=True)))
        assert mrr == pytest.approx(1 / (wanted[0] + 1))
        assert recall == pytest.approx(sum(place < K for place in wanted) / len(wanted))
        pairs = [(a > b) for a, good in one if good for b, other in one if not other]
        assert (auc == pytest.approx(np.mean(pairs))) if pairs else np.isnan(auc)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12))
def test_without_ties_scikit_learn_says_the_same(seed, size):
    random = np.random.default_rng(seed)
    gains = random.integers(0, 2, (4, size)).astype(float)
    gains[:, 0], gains[:, 1] = 0, 1
    scores = random.permuted(np.tile(np.arange(size, dtype=float), (4, 1)), axis=1)
    candidates = Candidates.of((str(n), [str(i) for i in range(size)], list(one)) for n, one in enumerate(gains))
    ranking = Ranking.of(candidates, scores.ravel())
    assert ranking.ndcg(5).mean() == pytest.approx(ndcg_score(gains, scores, k=5))
    assert ranking.auc() == pytest.approx([roc_auc_score(a, b) for a, b in zip(gains, scores, strict=True)])


def test_a_model_that_cannot_tell_candidates_apart_earns_nothing():
    candidates = Candidates.beside(["a", "b"], ["1", "2"], [["3", "4"], ["5", "1"]])
    ranking = Ranking.of(candidates, np.zeros(6))
    assert ranking.mrr() == pytest.approx([1 / 3, 1 / 3])
    assert ranking.auc() == pytest.approx([0, 0])


def test_a_missing_score_is_named_with_its_user_and_item():
    candidates = Candidates.of([("ann", ["x", "y"], [0, 1])])
    with pytest.raises(InputError, match="user ann and item y"):
        Ranking.of(candidates, np.array([1.0, np.nan]))
    with pytest.raises(InputError, match="negative"):
        Candidates.of([("ann", ["x"], [-1])])


@settings(max_examples=30, deadline=None)
@given(many, st.integers(0, 1000))
def test_what_is_shown_is_measured_as_its_definitions_say(given_rows, seed):
    candidates, ranking = lists_of(given_rows)
    random = np.random.default_rng(seed)
    table = random.normal(size=(8, 5))
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    vector = {f"i{n}": table[n] for n in range(8)}
    users_of = {f"i{n}": int(random.integers(0, 9)) for n in range(5)}  # i5 and i6 are new
    places = np.array([int(item[1:]) for item in candidates.item_ids], dtype=np.int64)
    usual = random.random(len(candidates))
    shown = [
        [str(item) for item in candidates.item_ids[rows[np.argsort(ranking.places[rows])]][:K]]
        for rows in (np.arange(candidates.offsets[n], candidates.offsets[n + 1]) for n in range(len(candidates)))
    ]
    rank = {
        item: sum((other < count) + (other == count) / 2 for other in users_of.values()) / len(users_of)
        for item, count in users_of.items()
    }
    assert metrics.coverage(ranking, K, 8) == len({item for one in shown for item in one}) / 8
    novelty = metrics.novelty(ranking, K, users_of, 10)
    bias = metrics.popularity_bias(ranking, K, users_of, usual)
    diversity = metrics.diversity(ranking, K, table, places)
    for n, one in enumerate(shown):
        if not one:
            assert np.isnan([novelty[n], bias[n], diversity[n]]).all()
            continue
        assert novelty[n] == pytest.approx(np.mean([-math.log2((users_of.get(item, 0) + 1) / 11) for item in one]))
        assert bias[n] == pytest.approx(np.mean([rank.get(item, 0.0) for item in one]) - usual[n])
        pairs = [1 - vector[a] @ vector[b] for a, b in itertools.combinations(one, 2)]
        assert (diversity[n] == pytest.approx(np.mean(pairs))) if pairs else np.isnan(diversity[n])


def test_calibration_error_is_the_weighted_gap_of_fifteen_bins():
    said = np.array([0.1, 0.12, 0.9, 1.0])
    true = np.array([0, 1, 1, 0])
    by_hand = (2 * abs(0.11 - 0.5) + abs(0.9 - 1) + abs(1.0 - 0)) / 4
    assert metrics.calibration_error(said, true) == pytest.approx(by_hand)
    random = np.random.default_rng(0)
    honest = random.random(50_000)
    assert metrics.calibration_error(honest, random.random(50_000) < honest) < 0.01
    with pytest.raises(InputError, match="outside 0 to 1"):
        metrics.calibration_error(np.array([1.5]), np.array([1]))


@settings(max_examples=25, deadline=None)
@given(many, st.data())
def test_a_subset_has_the_values_of_its_lists(given_rows, data):
    candidates, ranking = lists_of(given_rows)
    chosen = data.draw(st.lists(st.integers(0, len(given_rows) - 1), max_size=5))
    part = candidates.subset(chosen)
    scores = [float(score) for n in chosen for score, _ in given_rows[n]]
    np.testing.assert_allclose(Ranking.of(part, np.array(scores)).ndcg(K), ranking.ndcg(K)[chosen])
    assert list(part.user_ids) == [candidates.user_ids[n] for n in chosen]


def test_the_interval_of_a_mean_is_that_of_a_slow_bootstrap_over_users():
    random = np.random.default_rng(3)
    users = np.array([f"u{n}" for n in random.integers(0, 60, 200)], dtype=object)
    values = random.random(200)
    values[:20] = np.nan
    found = bootstrap({"value": values}, users)["value"]
    draws = []
    of_user = [values[users == user] for user in sorted(set(users))]
    for _ in range(2000):
        draws.append(np.nanmean(np.concatenate([of_user[n] for n in random.integers(0, len(of_user), len(of_user))])))
    assert found.value == pytest.approx(np.nanmean(values))
    assert (found.low, found.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.006)


def test_a_pair_is_closer_than_its_parts_are_known():
    random = np.random.default_rng(4)
    users = np.arange(300).astype(str).astype(object)
    first = random.random(300)
    second = first + 0.02
    found = bootstrap({"first": first, "second": second, "difference": second - first}, users)
    assert found["difference"].excludes_zero
    assert found["second"].low < found["first"].high


def test_a_slice_that_holds_nobody_has_no_figure():
    found = bootstrap({"none": np.full(3, np.nan), "some": np.ones(3)}, np.array(["a", "b", "c"], dtype=object))
    assert np.isnan(found["none"].value)
    assert found["some"].value == found["some"].low == 1
