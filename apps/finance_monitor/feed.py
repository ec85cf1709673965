"""Feed: JSON lines from a file, standard input or a growing file -> news items in order of time.

A line that is no news item goes to the dead letters with its reason; nothing is lost without a word.
"""

from __future__ import annotations

import heapq
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
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


class _Bad(ValueError):
    pass


def read(feed: str, *, follow: bool = False, dead: Callable[[DeadLetter], None]) -> Iterator[NewsItem]:
    """News items in the order of the lines.

    Args:
        feed: a file, or "-" for standard input.
        follow: go on when the end is reached, as the file grows or is rotated, until interrupted.
        dead: is given every line that is no news item.

    Raises:
        InputError: the file is missing or empty.
    """
    name = "standard input" if feed == "-" else feed
    number = 0
    for number, raw in enumerate(_lines(feed, follow=follow), 1):
        if not raw.strip():
            continue
        try:
            yield parse(raw)
        except _Bad as fault:
            dead(DeadLetter(name, number, str(fault), raw[:500].decode("utf-8", "replace")))
    if number == 0:
        raise InputError(f"{name}: the feed is empty; give JSON lines with id, published, received, title, source")


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


def in_order(items: Iterable[NewsItem], *, lateness: timedelta | None) -> Iterator[NewsItem]:
    """Items by event time. Of equal times the first read comes first.

    Args:
        lateness: how long an item is waited for; None waits for the end of the feed (a file).
    """
    waiting: list[tuple[datetime, int, NewsItem]] = []
    newest = datetime.min.replace(tzinfo=UTC)
    for number, item in enumerate(items):
        heapq.heappush(waiting, (item.time, number, item))
        newest = max(newest, item.time)
        while lateness is not None and waiting and waiting[0][0] <= newest - lateness:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


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


def _lines(feed: str, *, follow: bool) -> Iterator[bytes]:
    if feed == "-":
        yield from _bounded(sys.stdin.buffer)
        return
    path = Path(feed)
    if not path.is_file() and not follow:
        raise InputError(f"{feed}: no such feed; give a file of JSON lines, or - for standard input")
    yield from _followed(path) if follow else _file(path)


def _file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from _bounded(stream)


def _bounded(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, each cut after `MAX_LINE` + 1 bytes; the rest of an over-long line is passed over, not kept."""
    while line := stream.readline(MAX_LINE + 1):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(MAX_LINE)):
            pass
        yield line


def _followed(path: Path) -> Iterator[bytes]:
    """Whole lines of a growing file. A rotated or truncated file is read out, then the new one from its start."""
    while True:
        while not path.is_file():
            time.sleep(POLL_SECONDS)
        with path.open("rb") as stream:
            held = b""
            while True:
                part = stream.readline(MAX_LINE + 1)
                if part:
                    held = held + part if len(held) <= MAX_LINE else held[: MAX_LINE + 1]
                    if part.endswith(b"\n"):
                        yield held
                        held = b""
                    continue
                if _replaced(path, stream):
                    while part := stream.readline(MAX_LINE + 1):  # written between our last read and the rotation
                        held += part
                    if held:
                        yield held
                    break
                time.sleep(POLL_SECONDS)


def _replaced(path: Path, stream: BinaryIO) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return True
    opened = os.fstat(stream.fileno())
    return now.st_ino != opened.st_ino or now.st_size < stream.tell()
