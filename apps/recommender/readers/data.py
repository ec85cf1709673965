"""Data: what a reader found, and the rows of a file as texts, each known by its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender.candidates import Candidates
from apps.recommender.events import Events
from apps.recommender.items import Items
from engine.errors import DataError, InputError

MAX_SHOWN = 200
"""Characters of a dead letter's text."""
ZONE = r"(?:[zZ]|[+-]\d\d:?\d\d)$"
LATEST = 4102444800
"""2100-01-01 in seconds since 1970: a later time is given in other units."""


@dataclass(frozen=True)
class DeadLetter:
    """A row that could not be used."""

    file: str
    line: int
    reason: str
    text: str = ""


@dataclass(frozen=True)
class Data:
    """Attributes:
    items: None where the format has none.
    lists: what was shown and taken, where the format tells it.
    users: further columns of users, indexed by user_id.
    dead: rows that could not be used, in the order of files and lines.
    """

    events: Events
    items: Items | None = None
    lists: Candidates | None = None
    users: pd.DataFrame | None = None
    dead: tuple[DeadLetter, ...] = ()


class Rows:
    """Rows of a file as columns of texts; what cannot be used is dropped into `dead`.

    Attributes:
        frame: indexed by line number (from 1).
        dead: in order of lines within each check.
    """

    def __init__(self, path: Path, frame: pd.DataFrame, dead: Sequence[DeadLetter] = ()) -> None:
        self.path = path
        self.frame = frame
        self.dead = list(dead)

    @classmethod
    def read(cls, path: Path, separator: str, columns: Sequence[str] | None = None) -> Rows:
        """Split lines at a separator; commas may stand inside quotes.

        Args:
            columns: None: the first line names them.

        Raises:
            InputError: the file is not there or empty.
            DataError: a line breaks off what is quoted.
        """
        lines = _fields(path, separator)
        if columns is None:
            head = next(lines, None)
            if head is None:
                raise InputError(f"{path}: the file is empty; its first line should name its columns")
            columns = head[1]
        good: list[Sequence[str]] = []
        numbers, dead = [], []
        for number, fields in lines:
            if len(fields) == len(columns):
                good.append(fields)
                numbers.append(number)
            elif fields and fields != [""]:
                reason = f"{len(fields)} fields where {len(columns)} should stand ({', '.join(columns)})"
                dead.append(DeadLetter(str(path), number, reason, separator.join(fields)[:MAX_SHOWN]))
        frame = pd.DataFrame(good, columns=list(columns), index=pd.Index(numbers, dtype=np.int64), dtype=object)
        return cls(path, frame, dead)

    def drop(self, bad: NDArray[np.bool_], field: str, remedy: str) -> None:
        """Make dead letters of the rows where a field cannot be used."""
        for number, row in self.frame[bad].iterrows():
            shown = str(row[field])[:40]
            text = "\t".join(map(str, row))[:MAX_SHOWN]
            self.dead.append(
                DeadLetter(str(self.path), int(str(number)), f"field '{field}': {shown!r}; {remedy}", text)
            )
        self.frame = self.frame[~bad]

    def ids(self, *fields: str) -> None:
        """Drop rows without these."""
        for field in fields:
            values = self.frame[field]
            self.drop(np.asarray(values.isna() | (values.astype(str).str.strip() == "")), field, "every row needs one")

    def number(self, field: str) -> None:
        """Make a column finite numbers; rows of which it has none are dropped."""
        found = pd.to_numeric(self.frame[field], errors="coerce").astype(np.float64)
        bad = ~np.isfinite(found.to_numpy())
        self.drop(bad, field, "give a finite number")
        self.frame = self.frame.assign(**{field: found[~bad]})

    def seconds(self, field: str) -> None:
        """Make a column of seconds since 1970 times in UTC."""
        self.number(field)
        values = self.frame[field].to_numpy(np.float64)
        self.drop((values < 0) | (values > LATEST), field, "give seconds since 1970")
        self.frame = self.frame.assign(**{field: pd.to_datetime(self.frame[field], unit="s", utc=True)})

    def times(self, field: str, form: str = "ISO8601") -> None:
        """Make a column of texts times in UTC."""
        found = pd.to_datetime(self.frame[field], utc=True, errors="coerce", format=form)
        bad = np.asarray(found.isna())
        self.drop(bad, field, "write 2026-03-02T08:15:00Z" if form == "ISO8601" else f"write {form}")
        self.frame = self.frame.assign(**{field: found[~bad]})

    def moments(self, field: str) -> None:
        """Make a column of texts, or times, with their zones times in UTC."""
        given = self.frame[field]
        if not isinstance(given.dtype, pd.DatetimeTZDtype):
            zoned = given.astype(str).str.contains(ZONE).to_numpy(bool)  # else it would be taken for UTC in silence
            self.drop(~zoned, field, "write 2026-03-02T08:15:00Z, with its zone")
        self.times(field)

    def once(self, field: str) -> None:
        """Drop rows whose id stood before."""
        self.drop(np.asarray(self.frame[field].duplicated()), field, "it stood before; keep one row an id")

    def need(self, *fields: str) -> None:
        """Raises:
        InputError: a column is not there.
        """
        if missing := [field for field in fields if field not in self.frame]:
            here = ", ".join(map(str, self.frame.columns))
            raise InputError(f"{self.path}: no column '{missing[0]}'; it has {here}")

    def some(self) -> pd.DataFrame:
        """The good rows.

        Raises:
            DataError: there are none.
        """
        if self.frame.empty:
            first = f"; line {self.dead[0].line}: {self.dead[0].reason}" if self.dead else ""
            raise DataError(f"{self.path}: no row can be used{first}")
        return self.frame


def text(path: Path) -> str:
    """Of a file in UTF-8, or in Latin-1 as the older MovieLens files are.

    Raises:
        InputError: there is no such file.
    """
    try:
        raw = path.read_bytes()
    except OSError as fault:
        raise InputError(f"{path}: not readable ({fault.strerror or fault})") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _fields(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    if separator != ",":
        # Only a line feed ends a line: titles hold other characters that splitlines() takes for an end.
        yield from ((n, line.rstrip("\r").split(separator)) for n, line in enumerate(text(path).split("\n"), 1))
        return
    rows = csv.reader(io.StringIO(text(path), newline=""), strict=True)
    try:
        for row in rows:
            yield rows.line_num, row
    except csv.Error as fault:
        raise DataError(f"{path}, line {rows.line_num}: {fault}; close the quotes") from None
