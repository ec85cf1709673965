"""Held out: the newest of what users did, as lists to be ranked by what learnt from the rest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender.candidates import Candidates, telling
from apps.recommender.catalogue import Catalogue
from apps.recommender.events import Events, History
from apps.recommender.exposures import Exposures
from apps.recommender.items import Items
from apps.recommender.past import Ints, Past
from apps.recommender.splits import Protocol, Split, by_time, leave_last_out
from engine.errors import InputError

MOST_ROWS = 5_000_000
"""Candidates in all: their features are in memory at once."""


@dataclass(frozen=True)
class Plan:
    """What is held out, and how it is asked about.

    Attributes:
        days: the newest; `since`: a moment instead. Where events have no times each user's last is held out.
        lists: most lists that are measured on, drawn evenly.
        others: items drawn evenly beside those wanted; 0: all that there are.
        behaviours: events by which an item is taken; none: every event.
    """

    days: float = 7.0
    since: datetime | None = None
    lists: int = 5000
    others: int = 0
    behaviours: Collection[str] = ()
    seed: int = 13

    def told(self, *, timed: bool) -> str:
        """Where the candidates come from, for the protocol."""
        drawn = f"the wanted items and {self.others} drawn evenly of the" if self.others else "all"
        there = "published by the list's moment" if timed else "of the catalogue"
        taken = f" by {', '.join(sorted(self.behaviours))}" if self.behaviours else ""
        return f"{drawn} items {there} that the user had not taken before{taken}"


@dataclass(frozen=True)
class HeldOut:
    """Lists of the time held out; histories end where it begins.

    Where exposures tell it, lists are as they were shown. Else there is one a user, shown at the moment of the first
    item that they took in that time: candidates are the items that were published by then and that the user had not
    taken before, and those that they took from then on are wanted.

    Attributes:
        learnt: events before all lists; `later`: those held out.
    """

    learnt: Events
    later: Events
    lists: Candidates
    protocol: Protocol

    @classmethod
    def of(cls, items: Items, events: Events, plan: Plan, exposures: Exposures | None = None) -> HeldOut:
        """Split events by the plan, and ask about what was held out.

        Raises:
            InputError: nothing is left to learn from, or to ask about; or there are too many candidates.
        """
        split = _split(events, plan)
        if exposures is not None:
            return cls._shown(items, events, split, exposures, plan)
        learnt = split.train.added(split.valid)
        had, took = (_Taken.of(part, items, plan.behaviours) for part in (learnt, split.test))
        published, random = Catalogue(items).published, np.random.default_rng(plan.seed)
        rows, moments = [], []
        asked = np.sort(random.permutation(len(took.users))[: plan.lists])
        for user, moment in zip(took.users[asked], took.firsts[asked], strict=True):
            there = ~(published > moment)
            there[had.items_of(user)] = False
            wanted = np.zeros(len(items), bool)
            wanted[took.items_of(user)] = True
            if (wanted & there).any():
                chosen = _chosen(there, wanted, plan.others, random)
                rows.append((user, items.ids[chosen].tolist(), wanted[chosen].astype(float).tolist()))
                moments.append(moment)
        _check([len(candidates) for _, candidates, _ in rows])
        as_of = (np.array(moments) * 1e6).astype(np.int64).astype("datetime64[us]") if events.timed else None
        lists = Candidates.of(rows, as_of)
        drawn = bool(plan.others) or len(asked) < len(took.users)
        protocol = split.protocol.measured(
            lists, plan.told(timed=events.timed), seeds=(plan.seed,) if drawn else ()
        ).without(len(asked) - len(rows), "users who took nothing that was new to them")
        return cls(learnt, split.test, lists, protocol.without(len(took.users) - len(asked), "users, drawn evenly"))

    @classmethod
    def _shown(cls, items: Items, events: Events, split: Split, exposures: Exposures, plan: Plan) -> HeldOut:
        """Lists in which something was taken, and something not."""
        shown = exposures.after(split.train)
        labels = shown.labels(events)
        took = np.zeros(len(shown), bool)
        for behaviour in plan.behaviours or labels:
            took |= labels.get(behaviour, took).astype(bool)
        frame = shown.frame[["list_id", "user_id", "item_id", "datetime"]].assign(wanted=took)
        frame = frame[items.numbers(frame["item_id"]) >= 0]
        frame = frame[telling(frame)]
        ids = frame["list_id"].unique()
        drawn = ids[np.random.default_rng(plan.seed).permutation(len(ids))[: plan.lists]]
        lists = Candidates.shown(frame[frame["list_id"].isin(drawn)])
        _check(np.diff(lists.offsets).tolist())
        told = (
            f"lists as they were shown, {len(drawn):,} of {len(ids):,} in which something was taken and something not"
        )
        seeds = (plan.seed,) if len(drawn) < len(ids) else ()
        return cls(split.train, split.test, lists, split.protocol.measured(lists, told, seeds=seeds))

    @property
    def histories(self) -> list[History]:
        """What was known of each list's user, oldest first."""
        return [self.learnt.history(str(user)) for user in self.lists.user_ids]


@dataclass(frozen=True)
class _Taken:
    """What each user took, and when they first did.

    Attributes:
        firsts: seconds since 1970, NaN where there are no times; shape (users,).
    """

    users: NDArray[Any]
    firsts: NDArray[np.float64]
    _past: Past
    _places: dict[str, int]

    @classmethod
    def of(cls, events: Events, items: Items, behaviours: Collection[str]) -> _Taken:
        frame = events.frame
        chosen = frame["event"].isin(list(behaviours)) if behaviours else np.ones(len(frame), bool)
        known = items.numbers(frame["item_id"]) >= 0
        users, past = Past.users(Events(frame[chosen & known].reset_index(drop=True)), items)
        return cls(users, past.times[past.starts[:-1]], past, {user: at for at, user in enumerate(users)})

    def items_of(self, user: str) -> Ints:
        at = self._places.get(user)
        return np.zeros(0, np.int32) if at is None else self._past.items[slice(*self._past.starts[at : at + 2])]


def _split(events: Events, plan: Plan) -> Split:
    if not events.timed:
        return leave_last_out(events)
    newest = events.frame["datetime"].max().to_pydatetime()
    return by_time(events, plan.since or newest - timedelta(days=plan.days))


def _chosen(
    there: NDArray[np.bool_], wanted: NDArray[np.bool_], others: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Items of a list, in the catalogue's order so that it gives nothing away."""
    if not others:
        return np.flatnonzero(there)
    rest = np.flatnonzero(there & ~wanted)
    drawn = random.permutation(rest)[:others]
    return np.sort(np.concatenate([np.flatnonzero(there & wanted), drawn]))


def _check(sizes: list[int]) -> None:
    if not sizes:
        raise InputError("in what is held out nobody took an item that was new to them; hold out more days")
    if sum(sizes) > MOST_ROWS:
        raise InputError(
            f"{len(sizes):,} lists have {sum(sizes):,} candidates, over {MOST_ROWS:,}; ask about fewer with --others "
            "100, or --lists 200"
        )
