"""Streams made of Keel's own feed: its planted events cut out, moved elsewhere, or its news dealt out anew."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from apps.finance_monitor import backtest, labels
from apps.finance_monitor.alert import Alert
from apps.finance_monitor.backtest import Event
from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.history import History
from apps.finance_monitor.items import NewsItem
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.watchlist import WatchList
from bench.newsroom import Newsroom
from engine import Progress
from engine.resources import find

DAYS = 28
BUSY = (8, 17)
"""Hours of UTC between which events are put."""


@dataclass(frozen=True)
class Stream:
    items: list[Labelled]
    """In order of time."""
    events: list[Event]

    def alerts(self, budget: float) -> list[Alert]:
        """What the monitor raises under so many false alarms a day."""
        return History(self.items).replay(budget).alerts


@dataclass(frozen=True)
class Cut:
    """The feed in parts."""

    usual: list[Labelled]
    events: list[tuple[Event, list[Labelled]]]
    """What is planted, with its items."""

    def whole(self) -> Stream:
        items = self.usual + [one for _, own in self.events for one in own]
        return Stream(_ordered(items), [event for event, _ in self.events])

    def moved(self, seed: int) -> Stream:
        """The events at other days and hours, faster or slower, each without a fifth of its items."""
        draw = random.Random(seed)
        first = min(one.item.time for one in self.usual).replace(hour=0, minute=0, second=0, microsecond=0)
        days = draw.sample([day for day in range(2, DAYS) if day % 7 < 5], len(self.events))
        items, events = list(self.usual), []
        for (event, own), day in zip(self.events, days, strict=True):
            pace = draw.uniform(0.75, 1.25)
            start = first + timedelta(days=day, hours=draw.uniform(*BUSY))
            kept = sorted(draw.sample(own, round(0.8 * len(own))), key=lambda one: one.item.time)
            items += [_at(one, start + pace * (one.item.time - event.start)) for one in kept]
            events.append(replace(event, start=start, end=start + pace * (event.end - event.start)))
        return Stream(_ordered(items), events)

    def dealt(self, seed: int) -> Stream:
        """No events, and news dealt out anew among the times of its hour of the week."""
        draw = random.Random(seed)
        by_hour: dict[tuple[int, int], list[Labelled]] = defaultdict(list)
        for one in self.usual:
            by_hour[one.item.time.weekday(), one.item.time.hour].append(one)
        items = []
        for own in by_hour.values():
            times = [one.item.time for one in own]
            draw.shuffle(times)
            items += [_at(one, time) for one, time in zip(own, times, strict=True)]
        return Stream(_ordered(items), [])


def cut(progress: Progress) -> Cut:
    """The feed, labelled by models trained on Keel's own headlines, and cut by what its writers say is planted."""
    (newsroom,) = Newsroom.trained(1, progress)
    progress.stage("labelling the feed")
    items = [
        entry.found
        for entry in File(str(find("data/finance/news.jsonl"))).entries(None)
        if entry and isinstance(entry.found, NewsItem)
    ]
    models = newsroom.models()
    labelled = labels.label(items, models.labellers, models.embedder, models.reader(WatchList()))
    lines = find("data/finance/news.labels.jsonl").read_text(encoding="utf-8").splitlines()
    truth = {values["id"]: values for values in map(json.loads, lines)}
    planted: list[tuple[Event, list[Labelled]]] = [
        (event, []) for event in backtest.events(find("data/finance/news.events.jsonl"))
    ]
    usual: list[Labelled] = []
    for one in labelled:
        mine = [own for event, own in planted if _belongs(one, truth[one.item.id], event)]
        (mine[0] if mine else usual).append(one)
    return Cut(usual, planted)


def _belongs(one: Labelled, truth: dict[str, Any], event: Event) -> bool:
    names = truth["topics"] if event.key.type == "topic" else [each["name"] for each in truth["companies"]]
    return event.start <= one.item.time <= event.end and event.key.value in names


def _at(one: Labelled, time: datetime) -> Labelled:
    return replace(one, item=replace(one.item, published=time, received=time))


def _ordered(items: list[Labelled]) -> list[Labelled]:
    return sorted(items, key=lambda one: (one.item.time, one.item.id))
