"""History: news that was labelled once, over which the alarms run again and again."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from apps.finance_monitor import labels
from apps.finance_monitor.alarms import Alarms
from apps.finance_monitor.alert import Alert
from apps.finance_monitor.arrivals import Arrivals
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.feeds.source import Source, chunks
from apps.finance_monitor.items import DeadLetter, NewsItem
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.letters import Letters
from apps.finance_monitor.monitor import Monitor
from apps.finance_monitor.run import CHUNK, Models
from apps.finance_monitor.stories import Stories
from apps.finance_monitor.watchlist import WatchList
from apps.finance_monitor.windows import STEP, Key, Step, Window
from engine.errors import InputError


@dataclass(frozen=True)
class Course:
    """What the monitor made of a history."""

    alerts: list[Alert]
    """In order of opening, in their last state."""
    steps: list[datetime]
    """Ends of all steps."""
    counts: dict[Key, dict[datetime, int]]
    """Key -> end of a step -> negative stories of the window that ends there, where there were any."""

    @property
    def days(self) -> float:
        return len(self.steps) * STEP / timedelta(days=1)


@dataclass(frozen=True)
class History:
    """Items in order of time.

    Attributes:
        companies: the watch list.
        model: what labelled them, for the alerts.
        calendar: country whose public holidays are taken for Sundays.
    """

    items: Sequence[Labelled]
    companies: WatchList = field(default_factory=WatchList)
    model: dict[str, Any] = field(default_factory=dict)
    calendar: str | None = None

    @classmethod
    def read(
        cls,
        sources: Sequence[Source],
        models: Models,
        companies: WatchList,
        dead_letters: Path | None,
        calendar: str | None = None,
    ) -> History:
        """Label feeds that are read to their end.

        Raises:
            InputError: one cannot be read, or they hold no news.
        """
        arrivals = Arrivals(None, held=sys.maxsize)  # all of it is kept anyway
        dead, reader = Letters(dead_letters), models.reader(companies)
        ordered: list[Labelled] = []
        try:
            for chunk in chunks(sources, CHUNK):
                found = [entry.found for entry in chunk]
                dead.write(json.dumps(vars(one), ensure_ascii=False) for one in found if isinstance(one, DeadLetter))
                items = [one for one in found if isinstance(one, NewsItem)]
                for item in labels.label(items, models.labellers, models.embedder, reader):
                    ordered += arrivals.add(item)
        finally:
            dead.close()
        ordered += arrivals.rest()
        if not ordered:
            read = ", ".join(source.name for source in sources)
            raise InputError(f"{read}: no news to test on; the lines are in {dead_letters}, each with what is wrong")
        return cls(ordered, companies, models.lineage(), calendar)

    def replay(self, budget: float) -> Course:
        """Run the monitor anew under so many false alarms a day."""
        alarms = _Watched(self.model, budget=budget, calendar=self.calendar)
        monitor = Monitor(Stories(), Companies(self.companies), alarms)
        alerts = {alert.id: alert for told in (monitor.take(self.items), monitor.end()) for alert in told}
        return Course(list(alerts.values()), alarms.steps, alarms.counts)


class _Watched(Alarms):
    """Alarms that note what they are shown."""

    def __init__(self, model: dict[str, Any], *, budget: float, calendar: str | None) -> None:
        super().__init__(model, budget=budget, calendar=calendar)
        self.steps: list[datetime] = []
        self.counts: dict[Key, dict[datetime, int]] = defaultdict(dict)

    def step(self, now: datetime, window: Window, came: Step) -> list[Alert]:
        self.steps.append(now)
        for key, mentions in window.negative().items():
            self.counts[key][now] = len(mentions)
        return super().step(now, window, came)
