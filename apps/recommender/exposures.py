"""Exposures: what users were shown, and where it stood: the negatives that an event alone does not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender.events import Events
from apps.recommender.fusion import Lists
from apps.recommender.items import Items
from apps.recommender.past import Floats, Ints, Past, seconds
from apps.recommender.readers import tables
from engine.errors import DataError, InputError

COLUMNS = ("list_id", "user_id", "item_id", "position", "datetime")
WITHIN = pd.Timedelta(days=1)
"""An event is put down to the last time its user was shown the item, if that was so lately."""
HELD_BACK = 5.0
"""Expected events by which an item's rate is drawn to 1 where it was seldom shown."""


@dataclass(frozen=True)
class Exposures:
    """Lists as they were shown, by time; a list's rows stand together, the first place first.

    Attributes:
        frame: list_id, user_id, item_id (texts), position (from 1), datetime (UTC).
    """

    frame: pd.DataFrame

    @classmethod
    def of(cls, frame: pd.DataFrame, *, name: str = "exposures") -> Exposures:
        """The checked exposures of a table.

        Raises:
            DataError: a column is missing, or a row holds what it should not.
        """
        found = rows_of_lists(frame, COLUMNS, name)
        found["position"] = pd.to_numeric(found["position"], errors="coerce")
        refuse(~(found["position"] >= 1), name, "position", "no place; count from 1")
        return cls(found.sort_values(["datetime", "list_id", "position"], kind="stable", ignore_index=True))

    @classmethod
    def read(cls, path: Path) -> Exposures:
        """The exposures of a .csv, .jsonl or .parquet file.

        Raises:
            InputError: there is no such file, or it is of another kind.
            DataError: as `of`, or it is unreadable.
        """
        return cls.of(tables.load(path).frame, name=str(path))

    def __len__(self) -> int:
        return len(self.frame)

    def labels(self, events: Events) -> dict[str, NDArray[np.int8]]:
        """Behaviour -> 1 where it followed, shape (rows,).

        Raises:
            InputError: the events have no times.
        """
        if not events.timed:
            raise InputError("exposures need events with times, by which what followed is told; give both")
        keys = ["user_id", "item_id"]
        left = events.frame[[*keys, "event", "datetime"]].sort_values("datetime", kind="stable")
        right = self.frame[[*keys, "datetime"]].assign(row=np.arange(len(self)))
        for side in (left, right):  # of one unit, which the join demands
            side["datetime"] = side["datetime"].dt.as_unit("us")
        joined = pd.merge_asof(left, right, on="datetime", by=keys, tolerance=WITHIN).dropna(subset="row")
        found = {}
        for kind, rows in joined.groupby("event", sort=True)["row"]:
            label = np.zeros(len(self), np.int8)
            label[rows.to_numpy(np.int64)] = 1
            found[str(kind)] = label
        return found

    def rates(self, events: Events, items: Items) -> Floats:
        """Events of each item over what its places usually bring, drawn to 1 where it was seldom shown; shape (items,).

        One event of whatever kind counts as one.
        """
        labels = self.labels(events)
        happened = np.max([*labels.values(), np.zeros(len(self), np.int8)], axis=0)
        places = self.frame["position"].to_numpy(np.int64)
        usual = np.bincount(places, happened) / np.maximum(np.bincount(places), 1)
        numbers = items.numbers(self.frame["item_id"])
        known = numbers >= 0
        got, expected = (
            np.bincount(numbers[known], values[known], minlength=len(items)) for values in (happened, usual[places])
        )
        return np.asarray((got + HELD_BACK) / (expected + HELD_BACK), np.float32)

    def until(self, events: Events) -> Exposures:
        """Those up to the last of the events."""
        return self._where(self.frame["datetime"] <= events.frame["datetime"].max())

    def after(self, events: Events) -> Exposures:
        """Those after the last of the events."""
        return self._where(self.frame["datetime"] > events.frame["datetime"].max())

    def _where(self, kept: pd.Series[bool]) -> Exposures:
        return Exposures(self.frame[kept].reset_index(drop=True))


@dataclass(frozen=True)
class Shown:
    """Lists to learn from, as they were shown.

    Attributes:
        past: the history before each list; users: number of each list's user among those of the events, their count for
            one who did nothing; both of shape (lists,).
        owners: the list of each row; candidates: the item; as_of: seconds since 1970; positions: from 1; shape (rows,).
        labels: behaviour -> 1 where it followed, shape (rows,).
    """

    past: Past
    users: NDArray[np.int64]
    owners: NDArray[np.int64]
    candidates: Ints
    as_of: NDArray[np.float64]
    positions: NDArray[np.int64]
    labels: dict[str, NDArray[np.int8]]

    @classmethod
    def of(cls, exposures: Exposures, events: Events, items: Items, *, most: int, seed: int) -> Shown:
        """At most so many lists, drawn by the seed; rows of items that left the catalogue are left out."""
        labels = exposures.labels(events)
        frame = exposures.frame
        numbers = items.numbers(frame["item_id"])
        _, lists = np.unique(frame["list_id"].to_numpy(object).astype(str), return_inverse=True)
        drawn = np.isin(lists, np.random.default_rng(seed).permutation(int(lists.max(initial=-1)) + 1)[:most])
        rows = np.flatnonzero(drawn & (numbers >= 0))
        rows = rows[np.argsort(lists[rows], kind="stable")]
        firsts, owners = np.unique(lists[rows], return_index=True, return_inverse=True)[1:]
        asked, times = frame["user_id"].to_numpy(object)[rows[firsts]], seconds(frame["datetime"])[rows]
        names, whole = Past.uncut(events, items)
        users = pd.Index(names).get_indexer(pd.Index(asked))
        past = _before(whole, users, times[firsts])
        return cls(
            past,
            np.where(users < 0, len(names), users).astype(np.int64),
            owners.astype(np.int64),
            numbers[rows],
            times,
            frame["position"].to_numpy(np.int64)[rows],
            {name: label[rows] for name, label in labels.items()},
        )

    def lists(self, matrix: Floats) -> Lists:
        """With the features of the candidates.

        The rows of a list are turned round: of equal scores LightGBM lets the earlier win, and what stood first was
        looked at most (see `Steps.candidates`).
        """
        turned = np.lexsort((-self.positions, self.owners))
        labels = {name: label[turned] for name, label in self.labels.items()}
        return Lists(matrix[turned], np.bincount(self.owners), labels, self.positions[turned])


def _before(whole: Past, users: NDArray[Any], moments: NDArray[np.float64]) -> Past:
    """The histories of users (-1: nobody) as they stood before moments."""
    order = np.lexsort((np.r_[np.ones(len(whole.items)), np.zeros(len(users))], np.r_[whole.times, moments],
                        np.r_[whole.owners, users]))  # fmt: skip
    done = np.cumsum(order < len(whole.items))[np.argsort(order)][len(whole.items) :]
    known = users >= 0
    ends = np.where(known, done - whole.starts[users], 0)
    return whole.take(np.where(known, users, 0)).until(ends).merged()


def rows_of_lists(frame: pd.DataFrame, columns: Sequence[str], name: str) -> pd.DataFrame:
    """Those columns of a table of shown lists: its ids are texts, its times UTC.

    Raises:
        DataError: a column is missing, or a row holds what it should not.
    """
    for column in columns:
        if column not in frame:
            raise DataError(f"{name}: no column {column!r}; it has {', '.join(map(str, frame.columns))}; rename one")
    found = frame[list(columns)].reset_index(drop=True)
    for column in ("list_id", "user_id", "item_id"):
        refuse(found[column].isna(), name, column, "empty; every row needs one")
        found[column] = found[column].astype(str).astype(object)
    texts = None if pd.api.types.is_datetime64_any_dtype(found["datetime"]) else "ISO8601"
    found["datetime"] = pd.to_datetime(found["datetime"], utc=True, errors="coerce", format=texts)
    refuse(found["datetime"].isna(), name, "datetime", "no time; write RFC 3339, as 2026-03-02T08:15:00Z")
    return found


def refuse(bad: Any, name: str, field: str, fault: str) -> None:
    """Raises:
    DataError: any row is bad; with the first.
    """
    rows = np.flatnonzero(np.asarray(bad))
    if len(rows):
        raise DataError(f"{name}, row {int(rows[0]) + 1}, field {field!r}: {fault} ({len(rows)} such rows)")
