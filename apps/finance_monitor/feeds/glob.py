"""Glob: all files that match a pattern, each with a position of its own; none of them stays open."""

from __future__ import annotations

import glob
import logging
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.feeds.line import Position
from apps.finance_monitor.feeds.source import Entry, Start, Stream, merged
from apps.finance_monitor.mapping import Mapping
from engine.errors import InputError

REST = 10
"""Times as long as a look at all files took, no other one is taken: 10,000 files take a tenth of a second."""
Seen = tuple[int, int]
"""A file's inode and size."""
_LOG = logging.getLogger(__name__)


@dataclass
class _Known:
    """A file that matches, or did.

    Attributes:
        seen: as it was when it was last read; None: it was not there.
        after: cursor behind what was read.
        reading: it is not read to its end yet.
    """

    seen: Seen | None = None
    after: str | None = None
    reading: bool = False

    def changes(self, now: Seen | None) -> bool:
        """Whether it is to be read, as it is now."""
        if self.reading or self.seen == now:
            return False
        at = Position.read(self.after) if self.after else Position()
        if now and at.inode == now[0] and at.byte > now[1]:
            self.after = str(Position(inode=at.inode))  # truncated: it may have its old size again at the next look
        self.seen, self.reading = now, True
        return True


class Glob:
    """Files read together, in order of event time.

    Args:
        pattern: as a shell writes it; ** stands for folders of any depth.
        follow: go on as files grow, and with new ones that match.

    Raises:
        InputError: nothing matches, nor is anything waited for.
    """

    def __init__(self, pattern: str, *, follow: bool = False, mapping: Mapping | None = None) -> None:
        self.name = pattern
        self._follow = follow
        self._mapping = mapping
        if not follow and not self._matching():
            raise InputError(f"{pattern}: no file matches; give files of JSON lines, or --follow to wait for them")

    def entries(self, start: Start | None) -> Iterator[Entry | None]:
        """As `Source` says."""
        if not self._follow:
            return merged([Stream(self._file(path).lines(start)) for path in sorted(self._matching())])
        if not self._matching():
            _LOG.warning("%s: no file matches yet; one is waited for", self.name)
        streams: list[Stream] = []
        streams.append(Stream(self._watch(streams, start)))
        return merged(streams)

    def committed(self, chunk: Sequence[Entry]) -> None:
        """Nobody waits to be told."""

    def close(self) -> None:
        """Nothing is open any more."""

    def _watch(self, streams: list[Stream], start: Start | None) -> Iterator[None]:
        """A stream that never has anything, but puts files that are new, grew or were replaced beside itself."""
        known: dict[str, _Known] = {}
        due = 0.0
        while True:
            began = time.monotonic()
            if began >= due:
                now = self._matching()
                for path in sorted(now.keys() | known.keys()):
                    one = known.setdefault(path, _Known())
                    if one.changes(now.get(path)):
                        streams.append(Stream(self._read(path, one, start)))
                    elif one.seen is None and not one.reading:
                        del known[path]
                due = began + (1 + REST) * (time.monotonic() - began)
            yield None

    def _read(self, path: str, one: _Known, start: Start | None) -> Iterator[Entry | None]:
        for entry in self._file(path).lines(lambda feed: one.after or (start and start(feed))):
            if entry:
                one.after = entry.after
            yield entry
        one.reading = False

    def _file(self, path: str) -> File:
        return File(path, follow=self._follow, mapping=self._mapping, many=True)

    def _matching(self) -> dict[str, Seen]:
        found = {}
        for path in glob.glob(self.name, recursive=True):
            with suppress(FileNotFoundError):
                now = os.stat(path)
                if stat.S_ISREG(now.st_mode):
                    found[path] = now.st_ino, now.st_size
        return found
