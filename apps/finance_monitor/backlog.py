"""Backlog: a live feed is read ahead of its labelling, so that it is known how much waits; never more than a bound."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Generator

from apps.finance_monitor.feeds.source import Entry

MOST = 2000
"""Entries that may wait: some 10 seconds of the champion's work on two cores."""
_LOG = logging.getLogger(__name__)


class Backlog:
    """Entries in chunks, as they came, none left out; a thread reads ahead.

    Attributes:
        overloaded: from when more than `most` entries wait until no more than half of that do.

    Args:
        chunks: what is read; when twice `most` wait it is left to its source, which keeps the rest.
        until: ends `chunks` when it is set; this sets it when it is not read to its end.
    """

    def __init__(self, chunks: Generator[list[Entry]], until: threading.Event, *, most: int = MOST) -> None:
        self.overloaded = False
        self._chunks = chunks
        self._until = until
        self._most = most
        self._waiting: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._fault: BaseException | None = None

    def chunks(self, size: int) -> Generator[list[Entry]]:
        """So many entries at a time, or as many as wait.

        Raises:
            Exception: what reading raised, after the entries that were read before.
        """
        reader = threading.Thread(target=self._read, name="feeds", daemon=True)
        reader.start()
        try:
            while chunk := self._take(size):
                yield chunk
        finally:
            self._until.set()
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            reader.join(5.0)
        if self._fault:
            raise self._fault

    def _take(self, size: int) -> list[Entry]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            chunk = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
            left = len(self._waiting)
            self._changed.notify_all()
        was, self.overloaded = self.overloaded, left > (self._most // 2 if self.overloaded else self._most)
        if self.overloaded != was:
            _LOG.warning("overload: %d items wait%s", left, _TOLD[self.overloaded])
        return chunk

    def _read(self) -> None:
        try:
            for chunk in self._chunks:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._waiting) < 2 * self._most or self._ended)
                    if self._ended:
                        break
                    self._waiting += chunk
                    self._changed.notify_all()
            self._chunks.close()
        except BaseException as fault:  # told where the entries are taken
            self._fault = fault
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()


_TOLD = {True: "; the cheap model answers them all until half of that do", False: "; the champion answers again"}
