"""File: JSON lines or CSV of a file, of a growing file, or of standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from apps.finance_monitor.feeds.csv_rows import CsvRows
from apps.finance_monitor.feeds.line import Line, Position, bounded, followed, in_parts, moved, piped, whole
from apps.finance_monitor.feeds.source import Entry, Start
from apps.finance_monitor.items import Bad, DeadLetter, NewsItem, letter, parse
from apps.finance_monitor.mapping import Mapping
from engine.errors import InputError


class File:
    """Lines one after the other.

    A kept position makes reading go on behind it, and a last line that is not whole yet is left to the next time;
    standard input has no such place.

    Args:
        feed: a file, or "-" for standard input.
        follow: go on when the end is reached, as the file grows or is rotated.
        mapping: how items are read from its lines; None: they are JSON with the fields of a news item.
        many: it is one of many, so it is read in parts, and to what is its end now: who follows it looks again.

    Raises:
        InputError: there is no such file, nor is one waited for.
    """

    def __init__(self, feed: str, *, follow: bool = False, mapping: Mapping | None = None, many: bool = False) -> None:
        self.name = "standard input" if feed == "-" else feed
        self._feed = feed if feed == "-" else str(Path(feed).resolve())
        self._path = Path(feed)
        self._follow = follow
        self._mapping = mapping
        self._many = many
        if feed != "-" and not follow and not self._path.is_file():
            raise InputError(f"{feed}: no such feed; give a file of JSON lines, or - for standard input")

    def entries(self, start: Start | None) -> Iterator[Entry | None]:
        """As `Source` says.

        Raises:
            InputError: the file is empty.
        """
        empty = True
        for entry in self.lines(start):
            empty = empty and entry is None
            yield entry
        if empty and start is None:
            raise InputError(
                f"{self.name}: the feed is empty; give JSON lines with id, published, received, title, source"
            )

    def lines(self, start: Start | None) -> Iterator[Entry | None]:
        """The same of a file that may be empty."""
        kept = start and self._feed != "-" and start(self._feed)
        position = Position.read(kept) if kept else Position()
        rows = CsvRows(self.name, self._mapping) if self._mapping and self._mapping.format == "csv" else None
        if rows and position.line:
            self._header(rows, position)
        for line in self._lines(position, torn=start is None):
            if line is None:
                yield None
                continue
            raw, position = line
            for found in rows.take(raw, position.line) if rows else (self._item(raw, position.line),):
                yield Entry(found, self._feed, str(position))
        if rows and start is None:
            for found in rows.end():
                yield Entry(found, self._feed, str(position))

    def _item(self, raw: bytes, line: int) -> NewsItem | DeadLetter | None:
        try:
            return parse(raw, self._mapping.item if self._mapping else None) if raw.strip() else None
        except Bad as fault:
            return letter(self.name, line, fault, raw)

    def _header(self, rows: CsvRows, at: Position) -> None:
        """Read it again where reading goes on behind it. Of a new file it comes with the first line anyway."""
        path = self._path if self._path.exists() else moved(self._path, at.inode) or self._path
        with suppress(FileNotFoundError), path.open("rb") as stream:
            for number, raw in enumerate(bounded(stream), 1):
                for _ in rows.take(raw, number):
                    pass  # told when it was first read
                if rows.header:
                    break

    def committed(self, chunk: Sequence[Entry]) -> None:
        """Nobody waits to be told."""

    def close(self) -> None:
        """Nothing is open any more."""

    def _lines(self, start: Position, *, torn: bool) -> Iterator[Line | None]:
        if self._feed == "-":
            return piped(sys.stdin.buffer)
        if self._many:
            return in_parts(self._path, start, torn=torn)
        return followed(self._path, start) if self._follow else whole(self._path, start, torn=torn)
