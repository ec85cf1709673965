"""Splits: nothing learnt has seen what is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommender.candidates import Candidates
from apps.recommender.events import Events
from apps.recommender.splits import by_time, leave_last_out
from engine.errors import InputError

START = datetime(2026, 3, 2, tzinfo=UTC)
rows = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 9)), min_size=1, max_size=20)


def events(given_rows, *, timed: bool = True) -> Events:
    frame = pd.DataFrame(given_rows, columns=["user_id", "item_id", "day"])
    if timed:
        frame["datetime"] = pd.to_datetime([START + timedelta(days=day) for day in frame["day"]], utc=True)
    return Events.of(frame)


@settings(max_examples=30, deadline=None)
@given(rows, st.integers(1, 9), st.integers(0, 3))
def test_a_split_by_time_is_whole_and_in_order(given_rows, day, before):
    whole = events(given_rows)
    test_from, valid_from = START + timedelta(days=day), START + timedelta(days=day - before)
    days = [row[2] for row in given_rows]
    if not any(one < day - before for one in days) or not any(one >= day for one in days):
        with pytest.raises(InputError, match="choose moments in between"):
            by_time(whole, test_from, valid_from)
        return
    split = by_time(whole, test_from, valid_from)
    train, valid, test = (part.frame["datetime"] for part in (split.train, split.valid, split.test))
    assert len(train) + len(valid) + len(test) == len(whole)
    assert train.max() < pd.Timestamp(valid_from) <= pd.Timestamp(test_from) <= test.min()
    assert valid.between(pd.Timestamp(valid_from), pd.Timestamp(test_from), inclusive="left").all()


@settings(max_examples=30, deadline=None)
@given(rows)
def test_the_last_is_left_out_of_those_who_have_enough(given_rows):
    whole = events(given_rows, timed=False)
    of = {user: [row[1] for row in given_rows if row[0] == user] for user in "abc"}
    asked = {user: items for user, items in of.items() if len(items) >= 3}
    if not asked:
        with pytest.raises(InputError, match="no user has 3 events"):
            leave_last_out(whole)
        return
    split = leave_last_out(whole)
    for user, items in of.items():
        parts = [[event.item_id for event in part.history(user)] for part in (split.train, split.valid, split.test)]
        assert parts == ([items[:-2], [items[-2]], [items[-1]]] if user in asked else [items, [], []])


def test_events_with_times_are_not_split_by_their_order_nor_those_without_by_a_moment():
    with pytest.raises(InputError, match="split by time"):
        leave_last_out(events([("a", "x", 1)]))
    with pytest.raises(InputError, match="leave-last-out"):
        by_time(events([("a", "x", 1)], timed=False), START)
    with pytest.raises(InputError, match="no zone"):
        by_time(events([("a", "x", 1)]), datetime(2026, 3, 2))
    with pytest.raises(InputError, match="swap them"):
        by_time(events([("a", "x", 1)]), START, START + timedelta(days=1))


def test_the_protocol_says_who_is_left_out():
    split = by_time(events([("a", "x", 1), ("b", "x", 1), ("a", "y", 5)]), START + timedelta(days=3))
    candidates = Candidates.of([("a", ["x", "y"], [0, 1]), ("a", ["x"], [0])])
    card = dict(split.protocol.measured(candidates, "all items", seeds=(1,)).rows())
    assert card["split"] == "global by time: test from 2026-03-05 00:00 UTC"
    assert card["lists"] == "2 of 1 users"
    assert card["users left out"] == "1 users who did nothing in the test's time; 1 lists in which nothing was wanted"
    assert card["candidates"] == "all items"
    assert "worst place" in card["ties"]
