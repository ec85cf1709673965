"""The road of one item: label > companies > story > window > alarm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from apps.finance_monitor.alarms import Alarms, Alert
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.labels import PRICE_RECAP, Labelled
from apps.finance_monitor.series import Point, Steps
from apps.finance_monitor.stories import Stories
from apps.finance_monitor.windows import STEP, WINDOW, Key, Mention, Window


@dataclass
class Tally:
    """What a run has seen."""

    items: int = 0
    stories: int = 0
    off_topic: int = 0
    price_recaps: int = 0
    sentiments: Counter[str] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    negative_topics: Counter[str] = field(default_factory=Counter)
    unlabelled: Counter[str] = field(default_factory=Counter)
    """Language -> items that no model knows."""
    first: datetime | None = None
    last: datetime | None = None


class Monitor:
    """Follows topics and companies through labelled items in order of time.

    Attributes:
        alerts: id -> every alert so far, in its last state.
    """

    def __init__(self, stories: Stories, companies: Companies, alarms: Alarms) -> None:
        self.tally = Tally()
        self.alarms = alarms
        self.alerts: dict[str, Alert] = {}
        self._stories = stories
        self.companies = companies
        self._window = Window()
        self._steps = Steps()
        self._points: list[Point] = []
        self._next: datetime | None = None

    def take(self, items: Iterable[Labelled]) -> Iterator[Alert]:
        """Alerts as they open and end while items go by."""
        for item in items:
            yield from self._advance(item.item.time)
            self._take(item)

    def end(self) -> Iterator[Alert]:
        """Let the clock run on after the last item until the window is empty."""
        if self.tally.last:
            yield from self._advance(self.tally.last + 3 * WINDOW)

    def points(self) -> list[Point]:
        """Counts of the steps that ended since this was last asked."""
        points, self._points = self._points, []
        return points

    def _advance(self, now: datetime) -> Iterator[Alert]:
        if self._next is None:
            self._next = _step_after(now)
        while now >= self._next:
            self._window.close(self._next)
            for alert in self.alarms.step(self._next, self._window):
                self.alerts[alert.id] = alert
                yield alert
            self._points += self._steps.close(self._next, self.alarms.expected)
            self._next += STEP

    def _take(self, labelled: Labelled) -> None:
        item, label, tally = labelled.item, labelled.label, self.tally
        tally.items += 1
        tally.first, tally.last = tally.first or item.time, item.time
        if label is None:
            tally.unlabelled[labelled.language or "unknown"] += 1
            return
        vector = labelled.vector
        story = item.id if vector is None else self._stories.assign(item.id, vector, item.time)
        tally.stories += story == item.id
        self._window.add(item.time, story)
        tally.off_topic += not label.topics
        tally.price_recaps += PRICE_RECAP in label.topics
        tally.topics.update(label.topics)
        if label.topics:
            tally.sentiments[label.sentiment] += 1
        names = self.companies.find(item.title, item.tickers, item.time)
        keys = [*(Key("topic", topic) for topic in label.topics), *(Key("company", name) for name in names)]
        self._steps.add(keys, story, negative=label.counts_as_negative)
        if not label.counts_as_negative:
            return
        tally.negative_topics.update(label.topics)
        mention = Mention(item.time, story, item.id, item.title)
        for key in keys:
            self._window.add_negative(key, mention)


def _step_after(time: datetime) -> datetime:
    """End of the step that `time` falls in; steps lie on the clock's quarters of an hour."""
    midnight = datetime(time.year, time.month, time.day, tzinfo=UTC)
    return midnight + ((time - midnight) // STEP + 1) * STEP
