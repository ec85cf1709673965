"""Pushed: what was sent to POST /v1/items, read from the inbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apps.finance_monitor.feeds.source import AT_A_TIME, Entry, Start
from apps.finance_monitor.inbox import Inbox
from apps.finance_monitor.items import Bad, letter


class Pushed:
    """One feed without end; a line leaves the inbox once what came of it is kept."""

    name = "pushed items"
    _FEED = "push"

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def entries(self, start: Start | None) -> Iterator[Entry | None]:
        number = int((start and start(self._FEED)) or 0)
        while True:
            lines = self._inbox.waiting(number, AT_A_TIME)
            for one in lines:
                number = one.number
                try:
                    yield Entry(self._inbox.read(one), self._FEED, str(number))
                except Bad as fault:
                    yield Entry(letter(self.name, number, fault, one.line), self._FEED, str(number))
            if not lines:
                yield None

    def committed(self, chunk: Sequence[Entry]) -> None:
        if mine := [int(entry.after) for entry in chunk if entry.feed == self._FEED]:
            self._inbox.forget(max(mine))

    def close(self) -> None:
        """The inbox is its owner's."""
