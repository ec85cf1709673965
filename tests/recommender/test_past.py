"""Histories side by side, what meets what in them, and the steps cut out of them, against plain loops."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommender.events import Event, Events
from apps.recommender.items import Items
from apps.recommender.past import Met, Past
from apps.recommender.popularity import Popularity
from apps.recommender.steps import Steps
from engine.errors import InputError

COUNT = 7
histories = st.lists(st.lists(st.integers(0, COUNT - 1), max_size=9), min_size=1, max_size=6)


def past_of(lists: Sequence[Sequence[int]]) -> Past:
    flat = np.array([item for one in lists for item in one], np.int32)
    starts = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    return Past(flat, starts, np.ones(len(flat), np.float32), np.full(len(flat), np.nan))


def lists_of(past: Past) -> list[list[int]]:
    return [past.items[first:end].tolist() for first, end in zip(past.starts[:-1], past.starts[1:], strict=True)]


@given(histories, st.integers(1, 4), st.data())
def test_histories_are_cut_and_chosen_as_lists_are(lists: list[list[int]], most: int, data: st.DataObject) -> None:
    past = past_of(lists)
    assert lists_of(past.last(most)) == [one[-most:] for one in lists]
    rows = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=8))
    assert lists_of(past.take(np.array(rows, np.int64))) == [lists[row] for row in rows]
    ends = np.array([data.draw(st.integers(0, len(one))) for one in lists])
    assert lists_of(past.until(ends)) == [one[:end] for one, end in zip(lists, ends, strict=True)]
    pieces = [[item for item in row if item >= 0] for row in past.pieces(most + 1).tolist()]
    steps = sorted(pair for one in pieces for pair in pairwise(one))
    assert steps == sorted(pair for one in lists for pair in pairwise(one)), "each step once"
    table = past.padded(most)
    assert [[item for item in row if item >= 0] for row in table.tolist()] == [one[-most:] for one in lists]


@given(histories, st.integers(1, 4), st.integers(0, 10**6))
def test_candidates_meet_the_last_events_of_their_user(lists: list[list[int]], most: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    alike = random.standard_normal((COUNT, COUNT)).astype(np.float32)
    owners = random.integers(len(lists), size=11)
    candidates = random.integers(COUNT, size=11, dtype=np.int32)
    met = Met.of(past_of(lists), owners, candidates, most)
    values = alike[met.before, met.candidates]
    each = [
        [alike[item, candidate] for item in lists[owner][-most:]]
        for owner, candidate in zip(owners, candidates, strict=True)
    ]
    np.testing.assert_allclose(met.total(values), [sum(one) for one in each], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(met.mean(values), [np.mean(one) if one else 0 for one in each], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(met.largest(values), [max(one, default=0) for one in each])
    last = met.total(values, (met.ages == 0).astype(np.float32))
    np.testing.assert_allclose(last, [one[-1] if one else 0 for one in each], rtol=1e-5)


def catalogue() -> Items:
    return Items.of(pd.DataFrame({"item_id": [str(number) for number in range(COUNT)]}))


@given(histories)
def test_what_was_done_with_one_item_in_a_row_is_one_event(lists: list[list[int]]) -> None:
    past = Past.of([[Event(str(item), weight=2.0) for item in one] for one in lists], catalogue())
    assert lists_of(past) == [[item for item, _ in groupby(one)] for one in lists]
    assert past.weights.tolist() == [2.0 * len(list(same)) for one in lists for _, same in groupby(one)]
    assert past.merged() is past


@given(histories.filter(lambda lists: any(len(one) > 1 for one in lists)), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_step_knows_nothing_of_what_came_next(lists: list[list[int]], seed: int) -> None:
    rows = [(f"u{user}", str(item)) for user, one in enumerate(lists) for item in one]
    events = Events.of(pd.DataFrame(rows, columns=["user_id", "item_id"]))
    steps = Steps.of(events, catalogue(), share=0.2, most=99, seed=seed)
    longer = [one for one in lists if len(one) > 1]
    assert lists_of(steps.past) == [[item for item, _ in groupby(one[:-1])] for one in longer]
    assert steps.targets.tolist() == [one[-1] for one in longer]
    assert len(steps.known) == sum(map(len, lists)) - len(longer)
    candidates = steps.candidates(1000, 5, seed=seed)
    for one, row in zip(longer, candidates.tolist(), strict=True):
        assert row[-1] == one[-1]
        assert not set(row[:-1]) & set(one)


def test_by_time_the_parts_end_where_the_first_step_begins() -> None:
    days = pd.date_range("2026-01-01", periods=20, tz="UTC")
    frame = pd.DataFrame({"user_id": ["a", "b"] * 10, "item_id": [str(at % COUNT) for at in range(20)]})
    events = Events.of(frame.assign(datetime=days, event=["click"] * 18 + ["buy"] * 2))
    steps = Steps.of(events, catalogue(), share=0.25, most=99, seed=0)
    first = min(steps.as_of)
    assert steps.known.frame["datetime"].max().timestamp() < first
    assert (steps.past.times < np.repeat(steps.as_of, steps.past.lengths)).all()
    assert steps.labels["buy"].sum() == 2
    shown = np.full(COUNT, first + 1e9)
    shown[:3] = 0
    drawn = steps.candidates(COUNT, 4, published=shown, seed=0)[:, :-1]
    fair = [
        set(range(3)) - set(one) - {target} for one, target in zip(lists_of(steps.past), steps.targets, strict=True)
    ]
    assert all(set(row) <= allowed for row, allowed in zip(drawn.tolist(), fair, strict=True) if allowed)
    with pytest.raises(InputError, match="too few"):
        Steps.of(Events.of(frame.iloc[:1]), catalogue(), share=0.2, most=9, seed=0)


def test_popularity_counts_fade_with_time_and_are_zero_for_an_item_nobody_took() -> None:
    old, new = 0.0, 100 * 86400.0
    past = Past(np.array([0, 0, 1], np.int32), np.array([0, 3]), np.ones(3, np.float32), np.array([old, old, new]))
    everything, recent = Popularity.fit(past, 3).features(np.array([0, 1, 2, 9], np.int32)).T[:2]
    assert everything[0] > everything[1] > everything[2] == everything[3] == 0
    assert recent[1] > recent[0] > recent[2] == recent[3] == 0
