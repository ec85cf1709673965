"""Items: what can be recommended, and what their texts say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.errors import DataError, InputError

TEXTS = ("title", "description", "tags")
KNOWN = (*TEXTS, "category", "price", "published", "seller")
STAMP = "_as_of"
"""Ends the name of a column that says up to when another column counts what happened: sales, sales_as_of."""


@dataclass(frozen=True)
class Items:
    """A catalogue in a fixed order.

    Attributes:
        frame: indexed by `item_id` (texts). Columns that are known: title, description, tags (a text or a list),
            category, price, published (UTC), seller; further columns of numbers or categories are features (see
            `columns.Columns`), and NAME_as_of (UTC) says up to when such a one, NAME, counts what happened.
    """

    frame: pd.DataFrame

    @classmethod
    def of(cls, frame: pd.DataFrame, *, name: str = "items") -> Items:
        """The checked items of a table.

        Args:
            frame: with `item_id` as a column or the index.
            name: of its file, for messages.

        Raises:
            DataError: an id is missing or stands twice, or a column holds what it should not.
        """
        if "item_id" in frame.columns:
            frame = frame.set_index("item_id")
        elif frame.index.name != "item_id":
            raise DataError(f"{name}: no column 'item_id'; it has {', '.join(map(str, frame.columns))}; rename one")
        frame = frame.copy()
        missing = np.asarray(frame.index.isna() | (frame.index.astype(str).str.strip() == ""))
        if missing.any():
            raise DataError(f"{name}, row {_row(missing)}, field 'item_id': empty; give every item an id")
        frame.index = frame.index.astype(str).astype(object)
        frame.index.name = "item_id"
        twice = np.asarray(frame.index.duplicated())
        if twice.any():
            shown = frame.index[twice][0]
            raise DataError(
                f"{name}, row {_row(twice)}, field 'item_id': {shown!r} stood before ({int(twice.sum())} such rows); "
                "keep one row an item"
            )
        if "price" in frame:
            frame["price"] = _numbers(frame["price"], name)
        if "published" in frame:
            frame["published"] = _times(frame["published"], name)
        for column in [one for one in map(str, frame.columns) if one.endswith(STAMP)]:
            if (of := column.removesuffix(STAMP)) not in frame:
                raise DataError(f"{name}: '{column}' says up to when '{of}' counts, but there is no such column")
            frame[column] = _times(frame[column], name, column)
        return cls(frame)

    @classmethod
    def read(cls, path: Path) -> Items:
        """The items of a .csv, .tsv, .jsonl or .parquet file.

        Raises:
            InputError: there is no such file, or it is of another kind.
            DataError: as `of`, naming file, row and field.
        """
        path = Path(path)
        if not path.exists():
            raise InputError(f"{path}: no such file of items")
        try:
            if path.suffix == ".parquet":
                return cls.of(pd.read_parquet(path), name=str(path))
            if path.suffix in (".jsonl", ".ndjson"):
                return cls.of(pd.read_json(path, lines=True, dtype=False), name=str(path))
            if path.suffix in (".csv", ".tsv"):
                separator = "\t" if path.suffix == ".tsv" else ","
                return cls.of(pd.read_csv(path, sep=separator, dtype={"item_id": str}), name=str(path))
        except ValueError as fault:
            raise DataError(f"{path}: unreadable ({fault}); see the format in its suffix") from None
        raise InputError(f"{path}: items are read from .csv, .tsv, .jsonl or .parquet")

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def ids(self) -> NDArray[np.object_]:
        """Item ids in the catalogue's order."""
        found: NDArray[np.object_] = self.frame.index.to_numpy(dtype=object)
        return found

    @property
    def stamps(self) -> dict[str, datetime]:
        """Column -> the newest moment up to which it counts what happened, for the columns that tell it."""
        told = {str(name): self.frame[name].max() for name in self.frame if str(name).endswith(STAMP)}
        return {
            name.removesuffix(STAMP): last.floor("us").to_pydatetime()
            for name, last in told.items()
            if not pd.isna(last)
        }

    @cached_property
    def without_text(self) -> int:
        """How many items have no text at all; they are ranked by everything else."""
        return sum(not text for text in self.texts())

    def numbers(self, item_ids: Iterable[str]) -> NDArray[np.int32]:
        """Places in the catalogue's order; -1 for an item that is not in it."""
        found = self.frame.index.get_indexer(pd.Index(list(item_ids), dtype=object))
        return np.asarray(found, np.int32)

    def texts(self, item_ids: Sequence[str] | None = None) -> list[str]:
        """Of each item "title. description. tags", what it has of them; all items by default.

        Raises:
            InputError: an item is not in the catalogue.
        """
        frame = self.frame
        if item_ids is not None:
            unknown = [one for one in item_ids if one not in frame.index]
            if unknown:
                raise InputError(f"item {unknown[0]!r} is not in the catalogue; add it first")
            frame = frame.loc[list(item_ids)]
        columns = [[_text(value) for value in frame[name]] for name in TEXTS if name in frame]
        return (
            [". ".join(filter(None, parts)) for parts in zip(*columns, strict=True)] if columns else [""] * len(frame)
        )

    def added(self, more: Items) -> Items:
        """With more items behind these; an item of a known id takes the place of its old row."""
        old = more.frame.index.intersection(self.frame.index)
        frame = pd.concat([self.frame, more.frame.drop(index=old)])
        for name in more.frame.columns:
            frame.loc[old, name] = more.frame.loc[old, name]
        return Items.of(frame)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(map(str, value))
    return "" if value is None or pd.isna(value) else str(value).strip()


def _numbers(column: pd.Series[Any], name: str) -> pd.Series[Any]:
    found = pd.to_numeric(column, errors="coerce")
    bad = np.asarray((found.isna() & column.notna()) | np.isinf(found) | (found < 0))
    if bad.any():
        shown = column[bad].iloc[0]
        raise DataError(f"{name}, row {_row(bad)}, field 'price': {shown!r}; give a number from 0, or leave it empty")
    return found.astype(np.float64)


def _times(column: pd.Series[Any], name: str, field: str = "published") -> pd.Series[Any]:
    found = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601" if column.dtype == object else None)
    bad = np.asarray(found.isna() & column.notna())
    if bad.any():
        shown = column[bad].iloc[0]
        raise DataError(
            f"{name}, row {_row(bad)}, field '{field}': {shown!r} is no time; write RFC 3339, as 2026-03-02T08:15:00Z"
        )
    return found


def _row(bad: NDArray[np.bool_]) -> int:
    """The first bad row, counted from 1."""
    return int(np.flatnonzero(bad)[0]) + 1
