"""Segments: what users of one kind take more than others do, for those of whom nothing else is known yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender.events import Events
from apps.recommender.items import Items
from apps.recommender.past import Floats, Ints
from engine.errors import DataError, InputError

FILE, USERS = "segments.npz", "users.parquet"
SHRINK = 50.0
"""Events of the whole shop that a segment's own stand beside: a small one is nearly as popular tastes are."""


@dataclass(frozen=True)
class Segments:
    """A field of the users, and how much likelier each of its values takes each item.

    Attributes:
        field: its name.
        of: user id -> value.
        names: values; `lifts`: logarithm of how much likelier, shape (values, items).
    """

    field: str
    of: Mapping[str, str]
    names: tuple[str, ...]
    lifts: Floats

    @classmethod
    def fit(cls, users: pd.DataFrame, field: str, events: Events, items: Items) -> Segments:
        """From a table of users with `user_id` and the field.

        Raises:
            InputError: the table has no such column.
            DataError: a user stands twice.
        """
        if lacking := [name for name in ("user_id", field) if name not in users]:
            raise InputError(f"users: no column {lacking[0]!r}; there are {', '.join(map(str, users.columns))}")
        known = users[users[field].notna()]
        ids = known["user_id"].astype(str)
        if ids.duplicated().any():
            raise DataError(f"users: {ids[ids.duplicated()].iloc[0]!r} stands twice; keep one row a user")
        of = dict(zip(ids, known[field].astype(str), strict=True))
        names = tuple(sorted(set(of.values())))
        taken = items.numbers(events.frame["item_id"])
        segment = pd.Index(names).get_indexer(pd.Index(events.frame["user_id"].map(of)))
        there = taken >= 0
        shares = (np.bincount(taken[there], minlength=len(items)) + 1.0) / (there.sum() + len(items))
        own = there & (segment >= 0)
        counts = np.zeros((len(names), len(items)))
        np.add.at(counts, (segment[own], taken[own]), 1.0)
        expected = (counts + SHRINK * shares) / (counts.sum(axis=1, keepdims=True) + SHRINK)
        return cls(field, of, names, np.log(expected / shares).astype(np.float32))

    def added(self, name: str | None, candidates: Ints) -> NDArray[np.float64] | None:
        """To the log odds of each candidate, for a user of a segment; 0 for an item newer than the table; None of a
        segment that nobody knows."""
        if name is None or name not in self.names:
            return None
        known = candidates < self.lifts.shape[1]
        at = np.minimum(candidates, self.lifts.shape[1] - 1)
        return np.asarray(self.lifts[self.names.index(name), at] * known, np.float64)

    def save(self, folder: Path) -> None:
        np.savez(folder / FILE, lifts=self.lifts)
        table = pd.DataFrame({"user_id": list(self.of), self.field: list(self.of.values())})
        table.to_parquet(folder / USERS)

    @classmethod
    def load(cls, folder: Path) -> Segments | None:
        """The stored one; None where none was fitted."""
        if not (folder / FILE).exists():
            return None
        table = pd.read_parquet(folder / USERS)
        of = dict(zip(table.iloc[:, 0], table.iloc[:, 1], strict=True))
        with np.load(folder / FILE) as found:
            return cls(str(table.columns[1]), of, tuple(sorted(set(of.values()))), found["lifts"])
