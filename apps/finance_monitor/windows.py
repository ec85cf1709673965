"""Windows: distinct negative stories a key in the last hour of event time, and how many stories there were in all."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

WINDOW = timedelta(minutes=60)
STEP = timedelta(minutes=15)


@dataclass(frozen=True, order=True)
class Key:
    """What is watched: a topic, a company, or everything."""

    type: Literal["topic", "company", "all"]
    value: str


@dataclass(frozen=True)
class Mention:
    """A negative story's first telling about a key."""

    time: datetime
    story: str
    item_id: str
    title: str


class Window:
    """Stories of the last hour.

    A story counts once a key, at its first negative telling; retellings, however late, add nothing.
    """

    def __init__(self) -> None:
        self._stories: deque[tuple[datetime, str]] = deque()
        self._negative: dict[Key, deque[Mention]] = defaultdict(deque)
        self._told: dict[tuple[Key, str], datetime] = {}
        self._seen: dict[str, datetime] = {}

    def add(self, time: datetime, story: str) -> None:
        """A story of any kind: the measure of how busy the wire is."""
        if story not in self._seen:
            self._stories.append((time, story))
        self._seen[story] = time

    def add_negative(self, key: Key, mention: Mention) -> None:
        if (key, mention.story) not in self._told:
            self._negative[key].append(mention)
        self._told[key, mention.story] = mention.time

    def close(self, now: datetime) -> None:
        """Forget what lies an hour or more before `now`, and stories not retold for two days."""
        while self._stories and self._stories[0][0] <= now - WINDOW:
            self._stories.popleft()
        for key in list(self._negative):
            mentions = self._negative[key]
            while mentions and mentions[0].time <= now - WINDOW:
                mentions.popleft()
            if not mentions:
                del self._negative[key]
        horizon = now - timedelta(hours=48)
        self._told = {told: time for told, time in self._told.items() if time > horizon}
        self._seen = {story: time for story, time in self._seen.items() if time > horizon}

    def negative(self) -> dict[Key, list[Mention]]:
        """Key -> its negative stories of the window."""
        return {key: list(mentions) for key, mentions in self._negative.items()}

    def stories(self) -> int:
        """Distinct stories of the window, of any kind."""
        return len(self._stories)

    def step_counts(self, since: datetime) -> tuple[int, Counter[Key]]:
        """Stories, and negative stories a key, that came after `since`."""
        counts = Counter({key: sum(m.time > since for m in mentions) for key, mentions in self._negative.items()})
        return sum(time > since for time, _ in self._stories), +counts
