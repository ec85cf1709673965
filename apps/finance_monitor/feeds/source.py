"""Source: what every kind of feed keeps to; several are read together, in order of event time."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from apps.finance_monitor.items import DeadLetter, NewsItem

POLL_SECONDS = 0.5
"""Pause when no feed has anything."""
AT_A_TIME = 64
"""Entries between two looks at feeds that had nothing."""
_AT_ONCE = datetime.min.replace(tzinfo=UTC)

Start = Callable[[str], str | None]
"""Feed -> the cursor up to which it was read before, or None: it was not."""


@dataclass(frozen=True)
class Entry:
    """What stands at one place of a feed, and the cursor behind it."""

    found: NewsItem | DeadLetter | None
    """None: nothing, but the cursor moves on."""
    feed: str
    """Whose cursor: the same at each start. A source may have several: of each file, of each partition."""
    after: str


class Source(Protocol):
    name: str
    """For people; without passwords."""

    def entries(self, start: Start | None) -> Iterator[Entry | None]:
        """The feed's entries; None where nothing more is there now and more is waited for.

        It never waits itself, so that other feeds are read meanwhile. Its end is the feed's end.

        Args:
            start: where reading goes on; None: nothing is kept of this run, so read all, and to the last byte.

        Raises:
            InputError: the feed cannot be read at all.
        """
        ...

    def committed(self, chunk: Sequence[Entry]) -> None:
        """Called when what came of a chunk is kept; it holds entries of other sources too."""
        ...

    def close(self) -> None:
        """Let go of connections; the last chunk has been committed."""
        ...


class Stream:
    """Entries of one feed with the next one in sight.

    Attributes:
        head: the next entry; None: there is none now.
        time: its event time; what is no item goes first.
    """

    def __init__(self, entries: Iterator[Entry | None]) -> None:
        self.head: Entry | None = None
        self.time = _AT_ONCE
        self.ended = False
        self._entries = entries

    def advance(self) -> None:
        try:
            self.head = next(self._entries)
        except StopIteration:
            self.head, self.ended = None, True
        found = self.head and self.head.found
        self.time = found.time if isinstance(found, NewsItem) else _AT_ONCE

    def close(self) -> None:
        """Let go of files."""
        if isinstance(self._entries, Generator):
            self._entries.close()


def chunks(
    sources: Sequence[Source], size: int, start: Start | None = None, *, until: threading.Event | None = None
) -> Generator[list[Entry]]:
    """Entries of all sources, so many at a time, or as many as there are before more is waited for.

    Args:
        start: as `Source.entries` takes it.
        until: reading ends when this is set.
    """
    ending = until or threading.Event()
    held: list[Entry] = []
    with closing(merged([Stream(source.entries(start)) for source in sources])) as entries:
        for entry in entries:
            if entry is not None:
                held.append(entry)
            if held and (entry is None or len(held) == size or ending.is_set()):
                yield held
                held = []
            elif entry is None:
                ending.wait(POLL_SECONDS)
            if ending.is_set():
                return
    if held:
        yield held


def merged(streams: list[Stream]) -> Generator[Entry | None]:
    """Entries of all streams, the earliest first among those that have one; None where none has any now.

    After an outage each feed has its backlog. Read in order of event time none of them moves the watermark past
    another's news, and files give the same order whenever they are read again.

    Args:
        streams: more may be put in as they are read; those that end are taken out.
    """
    try:
        while True:
            streams[:] = [stream for stream in streams if not stream.ended]
            for stream in streams:
                if stream.head is None:
                    stream.advance()
            ready = [(stream.time, place, stream) for place, stream in enumerate(streams) if stream.head]
            heapq.heapify(ready)
            for _ in range(AT_A_TIME):
                if not ready:
                    break
                _, place, first = ready[0]
                yield first.head
                first.advance()
                if first.head:
                    heapq.heapreplace(ready, (first.time, place, first))
                else:
                    heapq.heappop(ready)
            else:
                continue
            if all(stream.ended for stream in streams):
                return
            yield None
    finally:
        for stream in streams:
            stream.close()
