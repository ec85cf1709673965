"""Steps: the past cut before what came next, and what came next: what the booster learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender.events import Events
from apps.recommender.fusion import Lists
from apps.recommender.items import Items
from apps.recommender.past import Ints, Past, seconds
from engine.errors import InputError


@dataclass(frozen=True)
class Steps:
    """Moments at which a user took an item, and what was known before.

    Attributes:
        known: events before the cut, which the parts are fitted on.
        past: the history of each step, shape (steps,).
        users: number of each step's user; targets: what was taken.
        as_of: seconds since 1970 of each step, NaN where there are no times.
        labels: behaviour -> whether the target was taken that way, shape (steps,).
    """

    known: Events
    past: Past
    users: NDArray[np.int64]
    targets: Ints
    as_of: NDArray[np.float64]
    labels: dict[str, NDArray[np.int8]]

    @classmethod
    def of(cls, events: Events, items: Items, *, share: float, most: int, seed: int) -> Steps:
        """The newest `share` of the events by time; each user's last where there are no times.

        A step is a user's first event with an item after the cut; its labels are all that happened between them then.

        Raises:
            InputError: there are too few events to set any apart.
        """
        frame = events.frame
        users = np.unique(frame["user_id"].to_numpy(dtype=object).astype(str), return_inverse=True)[1]
        starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
        firsts = np.repeat(starts, np.diff(np.r_[starts, len(users)]))
        ends = np.r_[users[1:] != users[:-1], True]
        times = seconds(frame["datetime"])
        ended = ends & (np.arange(len(users)) > firsts)
        later = times >= np.quantile(times, 1 - share) if events.timed else ended
        numbers = items.numbers(frame["item_id"])
        at = np.flatnonzero(later & (numbers >= 0))
        if not len(at) or later.all():
            raise InputError(f"{len(events)} events of {len(starts)} users are too few to learn what comes next")
        _, chosen, group = np.unique(
            np.column_stack([users[at], numbers[at]]), axis=0, return_index=True, return_inverse=True
        )
        kinds = frame["event"].to_numpy(dtype=object)[at]
        labels = {
            str(kind): (np.bincount(group.ravel(), kinds == kind) > 0).astype(np.int8) for kind in dict.fromkeys(kinds)
        }
        random = np.random.default_rng(seed)
        kept = np.sort(random.permutation(len(chosen))[:most])
        rows = at[chosen[kept]]
        _, whole = Past.uncut(events, items)
        place = np.cumsum(np.r_[0, numbers >= 0])
        owners = users[rows]
        past = whole.take(owners).until(place[rows] - place[firsts[rows]]).merged()
        return cls(
            Events(frame[~later].reset_index(drop=True)),
            past,
            owners.astype(np.int64),
            numbers[rows],
            times[rows],
            {name: label[kept] for name, label in labels.items()},
        )

    def __len__(self) -> int:
        return len(self.targets)

    def candidates(self, catalogue: int, negatives: int, *, published: Any = None, seed: int) -> Ints:
        """Items drawn evenly, none of which the user had taken, and last the target; shape (steps, negatives + 1).

        LightGBM lets the earlier of two equal scores win: a target in front would make a booster that has learnt
        nothing look perfect, and stop it there.

        Args:
            published: seconds since 1970 of each item: what appeared after a step is not drawn for it.
        """
        random = np.random.default_rng(seed)
        drawn = random.integers(catalogue, size=(len(self), negatives), dtype=np.int32)
        taken = np.sort(
            np.r_[self.past.owners * catalogue + self.past.items, np.arange(len(self)) * catalogue + self.targets]
        )
        for _ in range(20):
            keys = np.arange(len(self))[:, None] * catalogue + drawn
            at = np.minimum(np.searchsorted(taken, keys), len(taken) - 1)
            bad = taken[at] == keys
            if published is not None:
                bad |= published[drawn] > self.as_of[:, None]
            if not bad.any():
                break
            drawn[bad] = random.integers(catalogue, size=int(bad.sum()), dtype=np.int32)
        return np.column_stack([drawn, self.targets])

    def lists(self, matrix: Any, width: int) -> Lists:
        """The steps' lists, target last, with the features of their candidates."""
        labels = {}
        for name, label in self.labels.items():
            table = np.zeros((len(self), width), np.int8)
            table[:, -1] = label
            labels[name] = table.ravel()
        return Lists(matrix, np.full(len(self), width), labels)
