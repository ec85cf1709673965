"""Rules: met in every list, at the least cost, or the rules in each other's way are named."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommender.items import Items
from apps.recommender.laminar import Bound, best, nested
from apps.recommender.placing import Placed, _Problem, place
from apps.recommender.rules import Boost, Cap, Exclude, Match, Pin, Quota, Rule, boosts
from engine.errors import InputError

SELLERS, KINDS = "xyz", ("red", "blue")
ids = [f"i{n}" for n in range(8)]
catalogue = st.lists(st.tuples(st.sampled_from([*SELLERS, None]), st.sampled_from(KINDS)), min_size=8, max_size=8)
matches = st.one_of(
    st.builds(Match, st.just("seller"), st.sampled_from(SELLERS)),
    st.builds(Match, st.just("category"), st.sampled_from(KINDS)),
    st.builds(Match, st.just("item_id"), st.sampled_from(ids)),
)
rules = st.lists(
    st.one_of(
        st.builds(Pin, st.sampled_from(ids), st.integers(1, 4)),
        st.builds(Exclude, matches),
        st.builds(Cap, st.sampled_from(["seller", "category"]), st.integers(1, 3)),
        st.builds(Quota, matches, st.integers(1, 3)),
    ),
    max_size=5,
)


def items_of(fields) -> Items:
    sellers, kinds = zip(*fields, strict=True)
    return Items.of(pd.DataFrame({"item_id": ids, "seller": list(sellers), "category": list(kinds)}))


def meets(rows: tuple[int, ...], wanted: list[Rule], fields) -> bool:
    """Of a set of rows, read off the rules' own words; places of pins apart."""
    columns = {
        "item_id": [ids[row] for row in rows],
        "seller": [fields[row][0] for row in rows],
        "category": [fields[row][1] for row in rows],
    }
    for rule in wanted:
        if isinstance(rule, Pin) and rule.item_id not in columns["item_id"]:
            return False
        if isinstance(rule, Exclude) and rule.match.value in columns[rule.match.field]:
            return False
        if isinstance(rule, Cap) and any(
            columns[rule.field].count(value) > rule.most for value in set(columns[rule.field]) - {None}
        ):
            return False
        if isinstance(rule, Quota) and columns[rule.match.field].count(rule.match.value) < rule.least:
            return False
    return True


@settings(max_examples=60, deadline=None)
@given(catalogue, rules, st.permutations(range(8)), st.integers(4, 6))
def test_rules_are_met_by_the_best_list_there_is_or_named(fields, wanted, order, k):
    items, scores = items_of(fields), np.array(order, dtype=np.float64)
    pins = [rule for rule in wanted if isinstance(rule, Pin)]
    clash = len({one.item_id for one in pins}) < len(pins) or len({one.place for one in pins}) < len(pins)
    good = [
        rows
        for size in range(k, -1, -1)
        for rows in itertools.combinations(range(8), size)
        if meets(rows, wanted, fields)
    ]
    if clash or not good:
        with pytest.raises(InputError, match="cannot"):
            place(wanted, ids, scores, items, k)
        return
    found = place(wanted, ids, scores, items, k)
    shown = found.order.tolist()
    assert tuple(sorted(shown)) in set(good)
    best = max(good, key=lambda rows: (len(rows), scores[list(rows)].sum()))
    assert (len(shown), scores[shown].sum()) == (len(best), scores[list(best)].sum())
    for pin in pins:
        behind = sum(other.place > pin.place for other in pins)
        assert shown.index(ids.index(pin.item_id)) == min(pin.place - 1, len(shown) - 1 - behind)
    free = [row for row in shown if ids[row] not in {pin.item_id for pin in pins}]
    assert free == sorted(free, key=lambda row: -scores[row])
    told(found, scores, k)


def told(found: Placed, scores: np.ndarray, k: int) -> None:
    """Every item that is not where its score would put it has one receipt, with its places."""
    plain = np.argsort(-scores).tolist()
    was = {ids[row]: at for at, row in enumerate(plain[:k], 1)}
    now = {ids[row]: at for at, row in enumerate(found.order.tolist(), 1)}
    moved = {item for item in was.keys() | now.keys() if was.get(item) != now.get(item)}
    assert {one.item_id for one in found.receipts} == moved
    assert len(found.receipts) == len(moved)
    assert all((one.before, one.after) == (was.get(one.item_id), now.get(one.item_id)) for one in found.receipts)


def test_without_rules_the_list_is_the_scores():
    found = place([], ids, np.array([1.0, 5, 2, 2, 0, 9, 8, 3]), items_of([(None, "red")] * 8), 3)
    assert found.order.tolist() == [5, 6, 1]
    assert found.receipts == ()


def test_boosts_and_buries_name_their_rows():
    items = items_of([("x", "red"), ("y", "red"), *[("z", "blue")] * 6])
    boost, bury = Boost(Match("category", "red"), 6.5), Boost(Match("seller", "x"), -3)
    found = boosts([boost, Cap("seller", 1), bury], ids, items)
    assert [(rule, np.flatnonzero(rows).tolist()) for rule, rows in found] == [(boost, [0, 1]), (bury, [0])]
    assert (str(boost), str(bury)) == ("boost category = red by 6.5", "bury seller = x by 3")


FIELDS = [("x", "red")] * 5 + [("y", "blue")] * 3


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        ([Quota(Match("seller", "y"), 4)], "of 8 candidates 3 are such; retrieve more"),
        (
            [Quota(Match("seller", "x"), 3), Cap("category", 2)],
            "'at least 3 of seller = x' and 'at most 2 of a category'",
        ),
        (
            [Pin("i1", 1), Exclude(Match("seller", "x"))],
            "'pin i1 at 1' cannot be met: .* 0 are such that no rule excludes",
        ),
        ([Pin("i1", 9)], "the list has the places 1 to 4"),
        ([Pin("i1", 1), Pin("i2", 1)], "cannot both be"),
        ([Cap("colour", 1)], "items have no field 'colour'; they have item_id, seller, category"),
    ],
)
def test_what_cannot_be_is_said_with_the_rules_in_the_way(wanted, fault):
    with pytest.raises(InputError, match=fault):
        place(wanted, ids, np.arange(8.0), items_of(FIELDS), 4)


def test_caps_make_the_list_shorter_rather_than_break():
    found = place([Cap("seller", 1)], ids, np.arange(8.0), items_of(FIELDS), 4)
    assert found.order.tolist() == [7, 4]


def test_three_hundred_candidates_under_many_rules_keep_them():
    random = np.random.default_rng(1)
    many = [f"i{n}" for n in range(300)]
    fields = {"seller": random.choice(list("abcdefgh"), 300), "category": random.choice(list("uvwxyz"), 300)}
    items = Items.of(pd.DataFrame({"item_id": many, **fields}))
    wanted: list[Rule] = [Cap("seller", 3), Cap("category", 4), *(Quota(Match("category", one), 3) for one in "uvwxyz")]
    found = place(wanted, many, random.random(300), items, 20)
    frame = items.frame.iloc[found.order]
    assert len(frame) == 20
    assert frame["seller"].value_counts().max() <= 3
    assert frame["category"].value_counts().between(3, 4).all()


@settings(max_examples=60, deadline=None)
@given(catalogue, rules, st.permutations(range(8)), st.integers(1, 6), st.integers(0, 99))
def test_greed_chooses_what_the_integer_programme_does(fields, wanted, order, k, seed):
    scores = np.array(order) + np.random.default_rng(seed).random(8)
    free = [rule for rule in wanted if not isinstance(rule, Pin)]
    problem = _Problem.of(free, ids, items_of(fields), k)
    found, exact = problem.best(np.argsort(-scores), scores), problem.solve(scores)
    assert (found is None) == (exact is None)
    if found is not None and exact is not None:
        assert sorted(found.tolist()) == exact.tolist()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_bounds_that_nest_are_met_at_the_least_cost(data):
    """Sets as halves of halves of eight rows, against all choices there are."""
    sets = [range(8), range(4), range(4, 8), range(2), range(2, 4), range(4, 6), range(6, 8), range(1)]
    bounds = [
        Bound(np.isin(np.arange(8), list(rows)), low, low + data.draw(st.integers(0, 3)))
        for rows in data.draw(st.lists(st.sampled_from(sets), max_size=6))
        for low in [data.draw(st.integers(0, 2))]
    ]
    scores = np.random.default_rng(data.draw(st.integers(0, 999))).random(8)
    k = data.draw(st.integers(0, 6))
    good = [
        rows
        for size in range(k + 1)
        for rows in itertools.combinations(range(8), size)
        if all(one.low <= one.rows[list(rows)].sum() <= one.high for one in bounds)
    ]
    assert nested(np.array([one.rows for one in bounds]).reshape(len(bounds), 8))
    found = best(np.argsort(-scores), bounds, k)
    if not good:
        assert found is None
    else:
        assert found is not None
        assert sorted(found.tolist()) == list(max(good, key=lambda rows: (len(rows), scores[list(rows)].sum())))
