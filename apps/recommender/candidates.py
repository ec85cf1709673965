"""Candidates: who was to be shown something, what there was to choose from, and what they took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.errors import InputError

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """Lists of candidates to be ranked; the rows of a list stand together.

    Attributes:
        user_ids: whose list it is, shape (lists,); a user may have several.
        offsets: list n has the rows `offsets[n]` to `offsets[n + 1]`, shape (lists + 1,).
        item_ids: shape (rows,).
        gains: how much the user wanted it, shape (rows,); 0: not at all.
        as_of: when the list was to be shown (UTC), shape (lists,); None where the data have no times.
    """

    user_ids: NDArray[Any]
    offsets: Numbers
    item_ids: NDArray[Any]
    gains: Floats
    as_of: NDArray[np.datetime64] | None = None

    def __post_init__(self) -> None:
        if self.offsets.shape != (len(self.user_ids) + 1,) or self.offsets[0] or (np.diff(self.offsets) < 0).any():
            raise ValueError("offsets must rise from 0, one more than there are lists")
        if not self.item_ids.shape == self.gains.shape == (int(self.offsets[-1]),):
            raise ValueError(f"{self.offsets[-1]} rows, but {len(self.item_ids)} items and {len(self.gains)} gains")
        if not np.isfinite(self.gains).all() or (self.gains < 0).any():
            raise InputError("a candidate's gain is negative or no number; give 0 for what was not wanted")

    def __len__(self) -> int:
        return len(self.user_ids)

    @cached_property
    def lists(self) -> Numbers:
        """The list of each row, shape (rows,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))

    @cached_property
    def wanted(self) -> Numbers:
        """Items wanted in each list, shape (lists,)."""
        return np.bincount(self.lists, weights=self.gains > 0, minlength=len(self)).astype(np.int64)

    def rows(self, number: int) -> slice:
        """Of a list."""
        return slice(int(self.offsets[number]), int(self.offsets[number + 1]))

    def subset(self, numbers: Sequence[int] | Numbers) -> Candidates:
        """Some of the lists, in the order given."""
        chosen = np.asarray(numbers, dtype=np.int64)
        sizes = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], sizes)
        as_of = None if self.as_of is None else self.as_of[chosen]
        return Candidates(self.user_ids[chosen], offsets, self.item_ids[rows], self.gains[rows], as_of)

    @classmethod
    def of(
        cls, lists: Iterable[tuple[str, Sequence[str], Sequence[float]]], as_of: NDArray[np.datetime64] | None = None
    ) -> Candidates:
        """From (user, items, gains) a list."""
        users: list[str] = []
        items: list[str] = []
        gains: list[float] = []
        offsets = [0]
        for user, candidates, wanted in lists:
            users.append(user)
            items += candidates
            gains += wanted
            offsets.append(len(items))
        return cls(
            np.array(users, dtype=object),
            np.array(offsets, dtype=np.int64),
            np.array(items, dtype=object),
            np.array(gains, dtype=np.float64),
            as_of,
        )

    @classmethod
    def shown(cls, frame: pd.DataFrame) -> Candidates:
        """Those of a table of shown lists that tell something, by time.

        Args:
            frame: list_id, user_id, item_id, datetime (UTC), wanted; a list's rows have one user and one time.
        """
        # In the order of ids: that of places would give away what the shop thought of them.
        found = frame[telling(frame)].sort_values(["datetime", "list_id", "item_id"], kind="stable")
        groups = [group for _, group in found.groupby("list_id", sort=False)]
        lists = [
            (str(one["user_id"].iloc[0]), one["item_id"].tolist(), one["wanted"].astype(float).tolist())
            for one in groups
        ]
        times = found.drop_duplicates("list_id")["datetime"].dt.tz_convert(None).to_numpy("datetime64[us]")
        return cls.of(lists, times)

    @classmethod
    def beside(
        cls,
        user_ids: Sequence[str],
        targets: Sequence[str],
        others: Sequence[Sequence[str]],
        as_of: NDArray[np.datetime64] | None = None,
    ) -> Candidates:
        """Each user's one target beside others; a target among the others is taken out there.

        The target is not put first: an order that gives it away would reward a model that leaves things as they are.
        Rows are in the order of their ids.
        """
        lists = []
        for user, target, rest in zip(user_ids, targets, others, strict=True):
            items = sorted({target, *rest})
            lists.append((user, items, [float(item == target) for item in items]))
        return cls.of(lists, as_of)


def telling(frame: pd.DataFrame) -> pd.Series[bool]:
    """Rows of lists in which something was wanted, and something not.

    Args:
        frame: list_id, wanted.
    """
    share = (frame["wanted"] > 0).groupby(frame["list_id"], sort=False).transform("mean")
    return (share > 0) & (share < 1)
