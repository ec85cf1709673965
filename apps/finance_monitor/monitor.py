"""The road of one item: label > companies > story > window > alarm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apps.finance_monitor.alarms import SURGES, Alarms
from apps.finance_monitor.alert import Alert
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.editions import Editions
from apps.finance_monitor.labels import PRICE_RECAP, Labelled
from apps.finance_monitor.notices import Notices
from apps.finance_monitor.series import Point, Steps
from apps.finance_monitor.stories import Stories
from apps.finance_monitor.windows import ALL, STEP, WINDOW, Key, Mention, Window

SILENT = timedelta(days=14)
"""Most of a silence that is stepped through: nobody waits for years of empty steps."""


@dataclass
class Tally:
    """What a run has seen."""

    items: int = 0
    stories: int = 0
    off_topic: int = 0
    price_recaps: int = 0
    withdrawn: int = 0
    """Items that corrected or took back an earlier one."""
    sentiments: Counter[str] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    negative_topics: Counter[str] = field(default_factory=Counter)
    unlabelled: Counter[str] = field(default_factory=Counter)
    """Language -> items that no model knows."""
    routes: Counter[str] = field(default_factory=Counter)
    """How the labels came: "model", "cheap", or "overload" where there was no time for the model."""
    first: datetime | None = None
    last: datetime | None = None


class Monitor:
    """Follows topics and companies through labelled items in order of time.

    Attributes:
        notices: of volume and drift.
        points: counts of the steps since they were taken away last, for charts.
    """

    def __init__(self, stories: Stories, companies: Companies, alarms: Alarms) -> None:
        self.tally = Tally()
        self.alarms = alarms
        self.points: list[Point] = []
        self.companies = companies
        self._stories = stories
        self._editions = Editions()
        self.notices = Notices()
        self._window = Window()
        self._steps = Steps()
        self._next: datetime | None = None

    def take(self, items: Iterable[Labelled]) -> Iterator[Alert]:
        """Alerts as they open, change and end while items go by."""
        for item in items:
            yield from self._advance(item.time)
            self._take(item)

    def end(self) -> Iterator[Alert]:
        """Let the clock run on after the last item until the window is empty."""
        if self.tally.last:
            yield from self._advance(self.tally.last + 3 * WINDOW)

    @property
    def alerts(self) -> dict[str, Alert]:
        """Id -> alert, of those that may still change; what became of all others was told, and is not kept here."""
        return {alert.id: alert for alert in (*self.alarms.ended, *self.firing())}

    def firing(self) -> list[Alert]:
        """Surges and notices that have not ended."""
        return [*self.alarms.firing.values(), *self.notices.firing()]

    def _advance(self, now: datetime) -> Iterator[Alert]:
        if self._next is None:
            self._next = _step_after(now)
        while now >= self._next:
            if now - self._next > SILENT and not self.alarms.firing:  # a gap in history, or a clock gone mad
                self._next = _step_after(now - SILENT)
            self._editions.forget(self._next)
            came = self._window.close(self._next)
            self.points += self._steps.points(self._next, came, self.alarms.baseline)
            surges = self.alarms.step(self._next, self._window, came)
            left = (1 - SURGES) * self.alarms.budget
            notices = self.notices.step(self._next, came, self._window.stories(), self.alarms, left)
            yield from surges
            yield from notices
            self._next += STEP

    def _take(self, labelled: Labelled) -> None:
        item, tally = labelled.item, self.tally
        tally.items += 1
        tally.first, tally.last = tally.first or labelled.time, labelled.time
        fallen = self._editions.take(item, labelled.time)
        if fallen is None:
            return
        tally.withdrawn += item.revises
        if not item.retracts:
            self._tell(labelled)  # before what it corrects falls: the story goes on, and does not count anew
        for earlier in fallen:
            self.alarms.withdraw(self._window.withdraw(earlier))

    def _tell(self, labelled: Labelled) -> None:
        item, label, tally, now = labelled.item, labelled.label, self.tally, labelled.time
        if label is None:
            tally.unlabelled[labelled.language or "unknown"] += 1
            return
        tally.routes[label.route] += 1
        told = self._stories.assign(item.id, item.title, labelled.vector, now)
        story = told.story
        for other in told.same:
            self._window.join(other, story)
            self.alarms.join(other, story)
        tally.stories += (story == item.id) - len(told.same)
        tally.off_topic += not label.topics
        tally.price_recaps += PRICE_RECAP in label.topics
        tally.topics.update(label.topics)
        if label.topics:
            tally.sentiments[label.sentiment] += 1
        about = self.companies.about(labelled)
        topics = [Key("topic", topic) for topic in label.topics]
        self._window.add(now, story, (*topics, *(Key("company", name) for name in about)))
        negative = [Key("company", name) for name, bad in about.items() if bad]
        if label.counts_as_negative:
            tally.negative_topics.update(label.topics)
            negative = [ALL, *topics, *negative]
        mention = Mention(now, story, item.id, item.title, item.source, item.url)
        for key in negative:
            self._window.add_negative(key, mention)


def _step_after(time: datetime) -> datetime:
    """End of the step that `time` falls in; steps lie on the clock's quarters of an hour."""
    midnight = datetime(time.year, time.month, time.day, tzinfo=UTC)
    return midnight + ((time - midnight) // STEP + 1) * STEP
