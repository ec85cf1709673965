"""Splits: what may be learnt from and what is asked, and the protocol that every figure is printed with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from apps.recommender.candidates import Candidates
from apps.recommender.events import Events
from apps.recommender.metrics import TIES
from engine.errors import InputError

FEWEST = 3
"""Events of a user who is asked about with the last left out: one to learn from, one to validate, one to test."""


@dataclass(frozen=True)
class Protocol:
    """How a figure was measured; without it no two figures can be compared."""

    split: str
    candidates: str
    lists: int
    users: int
    left_out: tuple[str, ...]
    """Who has no part in the figures, and why."""
    ties: str = TIES
    thresholds: str = "none: lists are ranked, not cut"
    seeds: tuple[int, ...] = ()

    def rows(self) -> list[tuple[str, str]]:
        """The card: what, and how."""
        return [
            ("split", self.split),
            ("candidates", self.candidates),
            ("lists", f"{self.lists:,} of {self.users:,} users"),
            ("users left out", "; ".join(self.left_out) or "none"),
            ("ties", self.ties),
            ("thresholds", self.thresholds),
            ("seeds", ", ".join(map(str, self.seeds)) or "none: nothing is drawn"),
            ("intervals", "95%, paired bootstrap over users"),
        ]

    def measured(self, candidates: Candidates, how: str, *, seeds: tuple[int, ...] = ()) -> Protocol:
        """The protocol of these lists.

        Args:
            how: where the candidates come from.
        """
        empty = int((candidates.wanted == 0).sum())
        told = (f"{empty:,} lists in which nothing was wanted",) if empty else ()
        users = len(set(candidates.user_ids))
        left_out = (*self.left_out, *told)
        return replace(self, candidates=how, lists=len(candidates), users=users, left_out=left_out, seeds=seeds)

    def without(self, users: int, why: str) -> Protocol:
        """With more users left out, if there are any."""
        return replace(self, left_out=(*self.left_out, f"{users:,} {why}")) if users else self


@dataclass(frozen=True)
class Split:
    """Events to learn from, events to choose settings by, and events to be asked about once."""

    train: Events
    valid: Events
    test: Events
    protocol: Protocol


def by_time(events: Events, test_from: datetime, valid_from: datetime | None = None) -> Split:
    """Split at moments that are the same for all users, so that nothing learnt has seen what is asked.

    Args:
        valid_from: None: nothing is kept to validate.

    Raises:
        InputError: the events have no times, the moments are in the wrong order or without zone, or a part is empty.
    """
    if not events.timed:
        raise InputError("these events have no times, so no moment splits them; use leave-last-out")
    valid_from = test_from if valid_from is None else valid_from
    if test_from.tzinfo is None or valid_from.tzinfo is None:
        raise InputError("a split's moment has no zone; write 2026-03-02T00:00:00Z")
    if valid_from > test_from:
        raise InputError(f"validation begins at {valid_from}, after the test at {test_from}; swap them")
    times = events.frame["datetime"]
    in_test, in_train = times >= pd.Timestamp(test_from), times < pd.Timestamp(valid_from)
    train, valid, test = (_part(events, mask) for mask in (in_train, ~in_test & ~in_train, in_test))
    if not len(train) or not len(test):
        span = f"they go from {times.min()} to {times.max()}"
        raise InputError(
            f"no events to {'learn from' if not len(train) else 'test on'}; {span}, choose moments in between"
        )
    gone = len(set(train.frame["user_id"]) - set(test.frame["user_id"]))
    middle = f"validation from {valid_from:%Y-%m-%d %H:%M} UTC, " if len(valid) else ""
    return Split(
        train,
        valid,
        test,
        _protocol(
            f"global by time: {middle}test from {test_from:%Y-%m-%d %H:%M} UTC",
            test,
            f"{gone:,} users who did nothing in the test's time" if gone else "",
        ),
    )


def leave_last_out(events: Events) -> Split:
    """Each user's last event to test, the one before to validate; the rest, and all of users with fewer than three, to
    learn from.

    Raises:
        InputError: the events have times: a user's last event may lie before what others' taught, which is a leak.
    """
    if events.timed:
        raise InputError(
            "these events have times, and leaving each user's last out would learn from what came after it; split by "
            "time"
        )
    users = events.frame.groupby("user_id", sort=False)
    from_end = users.cumcount(ascending=False).to_numpy()
    asked = users["item_id"].transform("size").to_numpy() >= FEWEST
    if not asked.any():
        raise InputError(f"no user has {FEWEST} events, so nobody can be left a last one out; give more events")
    in_test, in_valid = asked & (from_end == 0), asked & (from_end == 1)
    train, valid, test = (_part(events, mask) for mask in (~in_test & ~in_valid, in_valid, in_test))
    few = len(users) - len(test)
    told = f"{few:,} users with fewer than {FEWEST} events (they are learnt from)" if few else ""
    return Split(train, valid, test, _protocol("leave-last-out, since the data have no times", test, told))


def _part(events: Events, mask: pd.Series[bool] | np.ndarray) -> Events:  # type: ignore[type-arg]
    return Events(events.frame[mask].reset_index(drop=True))


def _protocol(split: str, test: Events, left_out: str) -> Protocol:
    users = test.frame["user_id"].nunique()
    return Protocol(split, "not stated yet", len(test), users, (left_out,) if left_out else ())
