"""File: JSON lines or CSV of a file, of a growing file, or of standard input."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from apps.finance_monitor.feeds.csv_rows import CsvRows
from apps.finance_monitor.feeds.source import Entry, Start
from apps.finance_monitor.items import MAX_LINE, Bad, DeadLetter, NewsItem, letter, parse
from apps.finance_monitor.mapping import Mapping
from engine.errors import InputError


@dataclass(frozen=True)
class Position:
    """How far a file has been read: whole lines, and the bytes that they fill.

    The file is known by its inode: one that was put in its place is read from its start.
    """

    line: int = 0
    byte: int = 0
    inode: int = 0

    def __str__(self) -> str:
        return f"{self.line} {self.byte} {self.inode}"

    @classmethod
    def read(cls, text: str) -> Position:
        return cls(*map(int, text.split()))


Line = tuple[bytes, Position]


class File:
    """Lines one after the other.

    A kept position makes reading go on behind it, and a last line that is not whole yet is left to the next time;
    standard input has no such place.

    Args:
        feed: a file, or "-" for standard input.
        follow: go on when the end is reached, as the file grows or is rotated.
        mapping: how items are read from its lines; None: they are JSON with the fields of a news item.

    Raises:
        InputError: there is no such file, nor is one waited for.
    """

    def __init__(self, feed: str, *, follow: bool = False, mapping: Mapping | None = None) -> None:
        self.name = "standard input" if feed == "-" else feed
        self._feed = feed if feed == "-" else str(Path(feed).resolve())
        self._path = Path(feed)
        self._follow = follow
        self._mapping = mapping
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
            self._header(rows)
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

    def _header(self, rows: CsvRows) -> None:
        """Read it again where reading goes on behind it. Of a new file it comes with the first line anyway."""
        with suppress(FileNotFoundError), self._path.open("rb") as stream:
            for number, raw in enumerate(_bounded(stream), 1):
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
            return _piped(sys.stdin.buffer)
        return _followed(self._path, start) if self._follow else _whole(self._path, start, torn=torn)


def _whole(path: Path, start: Position, *, torn: bool) -> Iterator[Line]:
    """Lines to the end; `torn` gives the last one even where it has no end."""
    with path.open("rb") as stream:
        at = _seek(stream, start)
        for number, raw in enumerate(_bounded(stream), at.line + 1):
            if torn or raw.endswith(b"\n") or len(raw) > MAX_LINE:
                yield raw, Position(number, stream.tell(), at.inode)


def _seek(stream: BinaryIO, start: Position) -> Position:
    """Go to where reading goes on: behind what was read before, or at the start of another file."""
    opened = os.fstat(stream.fileno())
    if start.inode != opened.st_ino or start.byte > opened.st_size:
        start = Position(inode=opened.st_ino)
    stream.seek(start.byte)
    return start


def _bounded(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, each cut after `MAX_LINE` + 1 bytes; the rest of an over-long line is passed over, not kept."""
    while line := stream.readline(MAX_LINE + 1):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(MAX_LINE)):
            pass
        yield line


def _piped(stream: BinaryIO) -> Iterator[Line | None]:
    """Lines of a pipe, whose writer may pause anywhere; the same bounds."""
    number, held = 0, b""
    while True:
        if not select.select([stream], [], [], 0)[0]:
            yield None
            continue
        part = os.read(stream.fileno(), 1 << 16)
        *ends, rest = part.split(b"\n")
        for end in ends:
            number += 1
            yield (held + end + b"\n")[: MAX_LINE + 1], Position(number)
            held = b""
        held = (held + rest)[: MAX_LINE + 1]
        if not part:
            break
    if held:
        yield held, Position(number + 1)


def _followed(path: Path, start: Position) -> Iterator[Line | None]:
    """Whole lines of a growing file. A rotated or truncated file is read out, then the new one from its start."""
    while True:
        while not path.is_file():
            yield None
        with path.open("rb") as stream:
            at = _seek(stream, start)
            held, gone = b"", False
            while True:
                if part := stream.readline(MAX_LINE + 1):
                    held = held + part if len(held) <= MAX_LINE else held[: MAX_LINE + 1]
                    if part.endswith(b"\n"):
                        at = Position(at.line + 1, stream.tell(), at.inode)
                        yield held, at
                        held = b""
                elif gone:
                    break
                elif not (gone := _replaced(path, stream)):  # if it is: read what came before the rotation
                    yield None
            if held:
                yield held, Position(at.line + 1, stream.tell(), at.inode)
            start = Position()


def _replaced(path: Path, stream: BinaryIO) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return True
    opened = os.fstat(stream.fileno())
    return now.st_ino != opened.st_ino or now.st_size < stream.tell()
