"""Feed: JSON lines from a file, standard input or a growing file -> news items and dead letters, line by line.

A line that is no news item becomes a dead letter with its reason; nothing is lost without a word. Each line knows where
the feed stands behind it, so that a reader may go on from there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from engine.errors import InputError

MAX_LINE = 1_000_000
"""Bytes of the longest line read; of a longer one only the start is kept, for the dead letter."""
POLL_SECONDS = 0.5
CLOCK_SKEW = timedelta(minutes=5)
"""A publisher's clock may run this far ahead of ours; beyond it the time of receipt counts."""


@dataclass(frozen=True)
class NewsItem:
    id: str
    published: datetime
    received: datetime
    title: str
    source: str
    lang: str | None = None
    tickers: tuple[str, ...] = ()
    body: str | None = None
    url: str | None = None
    corrects: str | None = None
    retracts: str | None = None

    @property
    def time(self) -> datetime:
        """Event time: when it was published, or received where the publisher's clock runs ahead."""
        return self.received if self.published > self.received + CLOCK_SKEW else self.published


@dataclass(frozen=True)
class DeadLetter:
    file: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Position:
    """How far a feed has been read: whole lines, and the bytes of the file that they fill.

    The file is known by its inode: one that was put in its place is read from its start.
    """

    line: int = 0
    byte: int = 0
    inode: int = 0


@dataclass(frozen=True)
class Entry:
    """A line of the feed and what it holds."""

    found: NewsItem | DeadLetter | None
    """None: the line is blank."""
    after: Position


class _Bad(ValueError):
    pass


def entries(feed: str, *, follow: bool = False, start: Position | None = None) -> Iterator[Entry | None]:
    """The lines one after the other; None wherever all that is there has been read and more is waited for.

    Args:
        feed: a file, or "-" for standard input.
        follow: go on when the end is reached, as the file grows or is rotated, until interrupted.
        start: go on behind what was read of this file before, and leave a last line that is not whole yet to the next
            time; standard input has no such place.

    Raises:
        InputError: the file is missing or empty.
    """
    name = "standard input" if feed == "-" else feed
    position = None
    for line in _lines(feed, follow=follow, start=start):
        if line is None:
            yield None
            continue
        raw, position = line
        try:
            found = parse(raw) if raw.strip() else None
        except _Bad as fault:
            yield Entry(DeadLetter(name, position.line, str(fault), raw[:500].decode("utf-8", "replace")), position)
        else:
            yield Entry(found, position)
    if position is None and start is None:
        raise InputError(f"{name}: the feed is empty; give JSON lines with id, published, received, title, source")


def chunks(lines: Iterable[Entry | None], size: int) -> Iterator[list[Entry]]:
    """Entries, so many at a time, or as many as there are before more is waited for."""
    held: list[Entry] = []
    for line in lines:
        if line is not None:
            held.append(line)
        if held and (line is None or len(held) == size):
            yield held
            held = []
    if held:
        yield held


def parse(raw: bytes) -> NewsItem:
    """The news item on a line.

    Raises:
        ValueError: why there is none, naming the field and the remedy.
    """
    if len(raw) > MAX_LINE:
        raise _Bad(f"the line has over {MAX_LINE:,} bytes; send the text's start only")
    try:
        values = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise _Bad(f"not UTF-8 at byte {fault.start + 1}; send UTF-8") from None
    except (json.JSONDecodeError, RecursionError) as fault:
        cut = (
            "; the line is cut off, send it whole"
            if not raw.rstrip().endswith(b"}")
            else "; send one JSON object a line"
        )
        raise _Bad(f"not JSON: {fault}{cut}") from None
    if not isinstance(values, dict):
        raise _Bad(f"a {type(values).__name__} where an object should stand; send one JSON object a line")
    published = _time(values, "published")
    tickers = values.get("tickers") or []
    if not isinstance(tickers, list):
        raise _Bad("field 'tickers' is not a list; send a list of symbols")
    return NewsItem(
        id=_text(values, "id"),
        published=published,
        received=_time(values, "received") if values.get("received") else published,
        title=_text(values, "title"),
        source=str(values.get("source") or "unknown"),
        lang=str(values["lang"]) if values.get("lang") else None,
        tickers=tuple(str(ticker) for ticker in tickers),
    )


def _text(values: dict[str, Any], field: str) -> str:
    value = values.get(field)
    if isinstance(value, int) and field == "id":
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise _Bad(f"field '{field}' is missing or no text; every item needs id, published, title")
    if "\x00" in value:
        raise _Bad(f"field '{field}' holds NUL bytes; clean the feed")
    return value.encode("utf-8", "replace").decode("utf-8")


def _time(values: dict[str, Any], field: str) -> datetime:
    value = values.get(field)
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise _Bad(
            f"field '{field}' is {str(value)[:40]!r}, no time; write RFC 3339, as 2026-03-02T08:15:00Z"
        ) from None
    if found.tzinfo is None:
        raise _Bad(f"field '{field}' has no zone; write 2026-03-02T08:15:00Z or +01:00 at its end")
    return found.astimezone(UTC)


Line = tuple[bytes, Position]


def _lines(feed: str, *, follow: bool, start: Position | None) -> Iterator[Line | None]:
    if feed == "-":
        for number, raw in enumerate(_bounded(sys.stdin.buffer), 1):
            yield raw, Position(number)
            if follow:
                yield None  # nobody knows when the next one comes
        return
    path = Path(feed)
    if not path.is_file() and not follow:
        raise InputError(f"{feed}: no such feed; give a file of JSON lines, or - for standard input")
    yield from _followed(path, start or Position()) if follow else _file(path, start)


def _file(path: Path, start: Position | None) -> Iterator[Line]:
    with path.open("rb") as stream:
        at = _seek(stream, start or Position())
        for number, raw in enumerate(_bounded(stream), at.line + 1):
            if start is None or raw.endswith(b"\n") or len(raw) > MAX_LINE:
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


def _followed(path: Path, start: Position) -> Iterator[Line | None]:
    """Whole lines of a growing file. A rotated or truncated file is read out, then the new one from its start."""
    while True:
        while not path.is_file():
            yield None
            time.sleep(POLL_SECONDS)
        with path.open("rb") as stream:
            at = _seek(stream, start)
            held = b""
            while True:
                part = stream.readline(MAX_LINE + 1)
                if part:
                    held = held + part if len(held) <= MAX_LINE else held[: MAX_LINE + 1]
                    if part.endswith(b"\n"):
                        at = Position(at.line + 1, stream.tell(), at.inode)
                        yield held, at
                        held = b""
                    continue
                if _replaced(path, stream):
                    while part := stream.readline(MAX_LINE + 1):  # written between our last read and the rotation
                        held += part
                    if held:
                        yield held, Position(at.line + 1, stream.tell(), at.inode)
                    start = Position()
                    break
                yield None
                time.sleep(POLL_SECONDS)


def _replaced(path: Path, stream: BinaryIO) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return True
    opened = os.fstat(stream.fileno())
    return now.st_ino != opened.st_ino or now.st_size < stream.tell()
