"""Windows: distinct negative stories a key in the last hour of event time, and how many stories there were in all."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal

from apps.finance_monitor.seen import REMEMBERED, Seen

WINDOW = timedelta(minutes=60)
STEP = timedelta(minutes=15)
TELLINGS = 64
"""The last tellings of a story that are known, in case one is taken back."""


@dataclass(frozen=True, order=True)
class Key:
    """What is watched: a topic, a company, or all negative news together."""

    type: Literal["topic", "company", "all"]
    value: str


ALL = Key("all", "all")


@dataclass(frozen=True)
class Mention:
    """A telling of a negative story about a key."""

    time: datetime
    story: str
    item_id: str
    title: str
    source: str = ""
    url: str | None = None
    outlets: int = 1
    """How many have told the story by now."""


@dataclass
class Step:
    """What came since the last step."""

    stories: int = 0
    told: Counter[Key] = field(default_factory=Counter)
    """Stories a key, of any sentiment."""
    negative: Counter[Key] = field(default_factory=Counter)


@dataclass(frozen=True)
class Withdrawn:
    """A telling that its source took back.

    Attributes:
        instead: another telling of the story, that still stands.
    """

    key: Key
    story: str
    item_id: str
    instead: Mention | None


class Window:
    """Stories of the last hour.

    A story counts once a key, at its first negative telling; retellings, however late, add nothing. It counts no more
    when all who told it take it back.
    """

    def __init__(self) -> None:
        self._step = Step()
        self._stories: deque[datetime] = deque()
        self._negative: dict[Key, dict[str, datetime]] = {}
        """Key -> story -> when it was first told, in that order."""
        self._told: dict[tuple[Key, str], dict[str, Mention]] = {}
        """Key and story -> item -> its telling; what was retold last stands last."""
        self._of_item: dict[str, set[tuple[Key, str]]] = {}
        self._seen: Seen[str | tuple[Key, str]] = Seen()
        """Stories, by themselves and with each key."""

    def add(self, time: datetime, story: str, keys: Iterable[Key] = ()) -> None:
        """A story of any kind: the measure of how busy the wire is, and each of its keys."""
        if self._is_new(story, time):
            self._stories.append(time)
            self._step.stories += 1
        for key in keys:
            if self._is_new((key, story), time):
                self._step.told[key] += 1

    def add_negative(self, key: Key, mention: Mention) -> None:
        tellings = self._told.pop((key, mention.story), {})
        if not tellings:
            self._negative.setdefault(key, {})[mention.story] = mention.time
            self._step.negative[key] += 1
        elif len(tellings) == TELLINGS:
            self._release(key, mention.story, next(iter(tellings)), tellings)
        tellings[mention.item_id] = mention
        self._told[key, mention.story] = tellings
        self._of_item.setdefault(mention.item_id, set()).add((key, mention.story))

    def join(self, other: str, story: str) -> None:
        """Two stories turn out to be one: it was first told when the older one was."""
        for key, _ in [pair for pair in self._told if pair[1] == other]:
            known, moved = self._told.pop((key, story), {}), self._told.pop((key, other))
            for item_id in moved:
                self._of_item[item_id].discard((key, other))
                self._of_item[item_id].add((key, story))
            first = self._negative.get(key, {})
            times = [first.pop(one) for one in (story, other) if one in first]
            if len(times) == 1 + bool(known):
                first[story] = min(times)
                self._negative[key] = dict(sorted(first.items(), key=lambda one: one[1]))
            tellings = dict(sorted({**known, **moved}.items(), key=lambda one: one[1].time))
            for item_id in list(tellings)[: max(0, len(tellings) - TELLINGS)]:
                self._release(key, story, item_id, tellings)
            self._told[key, story] = tellings

    def withdraw(self, item_id: str) -> list[Withdrawn]:
        """What a source has taken back tells nothing any more."""
        found = []
        for key, story in sorted(self._of_item.get(item_id, ())):
            tellings = self._told[key, story]
            self._release(key, story, item_id, tellings)
            if not tellings:
                del self._told[key, story]
                self._negative.get(key, {}).pop(story, None)
            found.append(Withdrawn(key, story, item_id, next(iter(tellings.values()), None)))
        return found

    def close(self, now: datetime) -> Step:
        """Forget what lies an hour or more before `now`, and stories not retold for two days.

        Returns:
            What came since the last time.
        """
        while self._stories and self._stories[0] <= now - WINDOW:
            self._stories.popleft()
        for key, first in list(self._negative.items()):
            for story in list(first):
                if first[story] > now - WINDOW:
                    break
                del first[story]
            if not first:
                del self._negative[key]
        self._seen.forget(now)
        horizon = now - REMEMBERED
        # Gone through once: a dict that is emptied from its front takes longer and longer to find its first entry.
        for key, story in list(takewhile(lambda one: _last(self._told[one]) <= horizon, self._told)):
            tellings = self._told.pop((key, story))
            for item_id in list(tellings):
                self._release(key, story, item_id, tellings)
        step, self._step = self._step, Step()
        return step

    def negative(self) -> dict[Key, list[Mention]]:
        """Key -> its negative stories of the window, each by the first of its tellings that stands."""
        return {key: [_first(self._told[key, story]) for story in first] for key, first in self._negative.items()}

    def stories(self) -> int:
        """Distinct stories of the window, of any kind."""
        return len(self._stories)

    def _is_new(self, name: str | tuple[Key, str], time: datetime) -> bool:
        new = name not in self._seen
        self._seen.add(name, time)
        return new

    def _release(self, key: Key, story: str, item_id: str, tellings: dict[str, Mention]) -> None:
        del tellings[item_id]
        left = self._of_item[item_id]
        left.discard((key, story))
        if not left:
            del self._of_item[item_id]


def _last(tellings: dict[str, Mention]) -> datetime:
    return next(reversed(tellings.values())).time


def _first(tellings: dict[str, Mention]) -> Mention:
    mention = next(iter(tellings.values()))
    outlets = len({one.source for one in tellings.values()}) if len(tellings) > 1 else 1
    return replace(mention, outlets=outlets) if outlets > 1 else mention
