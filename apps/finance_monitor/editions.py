"""Editions: what stands in the place of news that its source corrected or took back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from apps.finance_monitor.items import NewsItem
from apps.finance_monitor.seen import REMEMBERED


@dataclass(frozen=True)
class _Instead:
    """An item in the place of another.

    Attributes:
        since: event time from which it stands there.
        received: which of two editions is the newer one.
    """

    id: str
    since: datetime
    received: datetime


class Editions:
    """Items that were corrected or taken back, for two days, as long as their stories are known."""

    def __init__(self) -> None:
        self._instead: dict[str, _Instead] = {}
        """Id -> what stands there instead, in order of event time."""

    def take(self, item: NewsItem, now: datetime) -> list[str] | None:
        """Ids of what an item puts an end to: those it names, and what came in their place since.

        None: a newer edition, or the end of the story, was received before this one.
        """
        fallen: list[str] = []
        for name in filter(None, (item.retracts, item.corrects)):
            while name not in (item.id, *fallen):
                fallen.append(name)
                instead = self._instead.get(name)
                if instead and instead.received > item.received:
                    return None
                name = instead.id if instead else name
        for name in fallen:
            self._instead.pop(name, None)
            self._instead[name] = _Instead(item.id, now, item.received)
        return fallen

    def forget(self, now: datetime) -> None:
        """Drop what was replaced two days before `now`."""
        for name in list(takewhile(lambda one: now - self._instead[one].since >= REMEMBERED, self._instead)):
            del self._instead[name]
