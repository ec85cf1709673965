"""Line: what a file holds at one place, and how files are read line by line: whole, in parts, growing, or as a pipe."""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from apps.finance_monitor.items import MAX_LINE

PART = 16_384
"""Bytes that are read at a time of one of many files."""
_LOG = logging.getLogger(__name__)


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


def whole(path: Path, start: Position, *, torn: bool) -> Iterator[Line]:
    """Lines to the end; `torn` gives the last one even where it has no end."""
    with path.open("rb") as stream:
        at = _seek(stream, start)
        for number, raw in enumerate(bounded(stream), at.line + 1):
            if torn or raw.endswith(b"\n") or len(raw) > MAX_LINE:
                yield raw, Position(number, stream.tell(), at.inode)


def in_parts(path: Path, at: Position, *, torn: bool) -> Iterator[Line]:
    """Lines to the end of one of many thousands of files, which is closed between two parts; `torn` as in `whole`.

    Where another file stands in its place by then, the old one is looked for in its folder and read out first.
    """
    while lines := _part(path, at, torn=torn):
        yield from lines
        at = lines[-1][1]


def moved(path: Path, inode: int) -> Path | None:
    """Where a file of that folder is now."""
    with suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        return next((Path(entry.path) for entry in entries if entry.inode() == inode), None)
    return None


def _part(path: Path, at: Position, *, torn: bool) -> list[Line]:
    if not at.inode:
        return _read(path, at, torn=torn) or []
    lines = _read(path, at, torn=torn, same=True)
    if lines is None:
        old = moved(path, at.inode)
        lines = (old and _read(old, at, torn=True, same=True)) or _read(path, Position(), torn=torn)
    return lines or []


def _read(path: Path, start: Position, *, torn: bool, same: bool = False) -> list[Line] | None:
    """The next lines; None: the file is not there, or is not the same."""
    with suppress(FileNotFoundError), path.open("rb") as stream:
        if same and os.fstat(stream.fileno()).st_ino != start.inode:
            return None
        at, lines = _seek(stream, start), []
        for number, raw in enumerate(bounded(stream), at.line + 1):
            end = stream.tell()
            if not torn and not raw.endswith(b"\n") and os.pread(stream.fileno(), 1, end - 1) != b"\n":
                break
            lines.append((raw, Position(number, end, at.inode)))
            if end - at.byte >= PART:
                break
        return lines
    return None


def _seek(stream: BinaryIO, start: Position) -> Position:
    """Go to where reading goes on: behind what was read before, or at the start of another file."""
    opened = os.fstat(stream.fileno())
    if start.inode != opened.st_ino or start.byte > opened.st_size:
        start = Position(inode=opened.st_ino)
    stream.seek(start.byte)
    return start


def bounded(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, each cut after `MAX_LINE` + 1 bytes; the rest of an over-long line is passed over, not kept."""
    while line := stream.readline(MAX_LINE + 1):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(MAX_LINE)):
            pass
        yield line


def piped(stream: BinaryIO) -> Iterator[Line | None]:
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


def followed(path: Path, start: Position) -> Iterator[Line | None]:
    """Whole lines of a growing file. A rotated or truncated file is read out, then the new one from its start."""
    if not path.is_file():
        _LOG.warning("%s: not there yet; it is waited for", path)
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
