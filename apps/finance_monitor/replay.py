"""Replay: labelled news once more through a monitor, with a note of how much each alert had to spare."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.finance_monitor import explanation
from apps.finance_monitor.alarms import BUDGET, LEAST_STORIES, Alarms
from apps.finance_monitor.alert import Alert
from apps.finance_monitor.arrivals import Arrivals
from apps.finance_monitor.baseline import Tails
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.explanation import Moment
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.monitor import Monitor
from apps.finance_monitor.stories import Stories, Told
from apps.finance_monitor.watchlist import WatchList
from apps.finance_monitor.windows import Key, Mention


@dataclass(frozen=True)
class Settings:
    """What decides on alerts besides the news and the models.

    Attributes:
        lateness: how long an item was waited for; None where a file was read to its end, all in order of time.
        companies: the watch list.
    """

    budget: float = BUDGET
    lateness: timedelta | None = None
    companies: WatchList = field(default_factory=WatchList)
    calendar: str | None = None
    notices: bool = False


@dataclass
class Decisive:
    """The fewest stories without which an alert would not have fired."""

    stories: list[Mention]
    items: frozenset[str]
    """Ids of all items that told them."""


@dataclass
class Replay:
    """What came of the news.

    Attributes:
        told: alert -> each state that a run would have told, and its last one, as JSON objects.
        alerts: id -> alert in its last state.
        decisive: alert -> its decisive stories.
    """

    told: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    decisive: dict[str, Decisive] = field(default_factory=dict)


def replay(
    items: Sequence[Labelled], settings: Settings, model: dict[str, Any], named: dict[str, Any] | None = None
) -> Replay:
    """The alerts of a run over the items, in the order that they came in; then the clock runs on to their end.

    Args:
        model, named: the models and the settings as the alerts are to name them.
    """
    alarms = _Noting(model, budget=settings.budget, calendar=settings.calendar)
    alarms.settings = named or {}
    stories = _Noted()
    monitor = Monitor(stories, Companies(settings.companies), alarms)
    monitor.notices.told = settings.notices
    arrivals = Arrivals(settings.lateness)
    found = Replay()

    def keep(alerts: Collection[Alert]) -> None:
        for alert in alerts:
            found.told.setdefault(alert.id, []).append(alert.as_dict())
            found.alerts[alert.id] = alert

    for item in items:
        keep(list(monitor.take(arrivals.add(item))))
    keep(list(monitor.take(arrivals.rest())))
    keep(list(monitor.end()))
    for name, alert in found.alerts.items():
        found.told[name].append(alert.as_dict())
        if name in alarms.moments:
            chosen = explanation.decisive(alarms.moments[name])
            told = {stories.root(mention.story) for mention in chosen}
            found.decisive[name] = Decisive(
                chosen, frozenset(i for i, story in stories.of_item.items() if stories.root(story) in told)
            )
    return found


@dataclass(frozen=True)
class Without:
    """What had come of the news, had an alert's decisive stories not been told.

    Attributes:
        fires: the alert had fired all the same, or one of its key in its place.
        instead: alerts that had been raised and were not, in their last state.
    """

    fires: bool
    instead: tuple[dict[str, Any], ...]


def without(alert: Alert, items: Sequence[Labelled], seen: Replay, settings: Settings) -> Without:
    """The replay that `seen` came of, without the alert's decisive stories."""
    gone = seen.decisive[alert.id].items
    again = replay([item for item in items if item.item.id not in gone], settings, alert.model, alert.settings)
    new = [one for name, one in again.alerts.items() if name not in seen.alerts]
    end = alert.closed or datetime.max.replace(tzinfo=UTC)
    fires = alert.id in again.alerts or any(one.key == alert.key and alert.opened <= one.opened <= end for one in new)
    return Without(fires, tuple(one.as_dict() for one in new))


class _Noting(Alarms):
    """Notes each step at which an alert's own key fires.

    Attributes:
        moments: alert -> its steps.
    """

    def __init__(self, model: dict[str, Any], *, budget: float, calendar: str | None) -> None:
        super().__init__(model, budget=budget, calendar=calendar)
        self.moments: dict[str, list[Moment]] = {}

    def _judge(
        self, key: Key, mentions: list[Mention], tails: Tails, stories: int, alpha: float, now: datetime
    ) -> None:
        super()._judge(key, mentions, tails, stories, alpha, now)
        if key not in self.firing or len(mentions) < LEAST_STORIES or tails.p_value >= alpha:
            return

        def p_value(count: int) -> float:
            return self.baseline.tails(key, count, stories - len(mentions) + count, now).p_value

        moment = explanation.moment(mentions, p_value, alpha=alpha, least=LEAST_STORIES)
        self.moments.setdefault(self.firing[key].id, []).append(moment)


class _Noted(Stories):
    """Notes the story of each item."""

    def __init__(self) -> None:
        super().__init__()
        self.of_item: dict[str, str] = {}
        self._joined: dict[str, str] = {}

    def assign(self, item_id: str, *rest: Any, **options: Any) -> Told:
        told = super().assign(item_id, *rest, **options)
        self.of_item[item_id] = told.story
        self._joined |= dict.fromkeys(told.same, told.story)
        return told

    def root(self, story: str) -> str:
        """The story that it turned out to be."""
        while story in self._joined:
            story = self._joined[story]
        return story
