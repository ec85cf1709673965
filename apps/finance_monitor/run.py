"""One run of the monitor: feed in, alerts and tally out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from apps.finance_monitor import labels
from apps.finance_monitor.alarms import BUDGET, Alarms
from apps.finance_monitor.alert import Alert
from apps.finance_monitor.arrivals import Arrivals
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.feeds.source import Source, chunks
from apps.finance_monitor.items import DeadLetter, NewsItem
from apps.finance_monitor.journal import Change, Journal, State
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.lines import Lines, replace
from apps.finance_monitor.monitor import Monitor, Tally
from apps.finance_monitor.outbox import Outbox
from apps.finance_monitor.pulse import Pulse
from apps.finance_monitor.series import Point
from apps.finance_monitor.sinks import Sink
from apps.finance_monitor.stories import Stories
from engine import Embedder, Predictor, Progress, Recipe, Store, load, train
from engine.errors import InputError

ENGLISH, MULTILINGUAL = "finance-news", "finance-news-multilingual"
LATENESS = timedelta(minutes=5)
"""How long an item is waited for, in event time; a later one is counted and no more."""
CHUNK = 64
"""Lines that are labelled on all cores at a time, and kept in one transaction."""


@dataclass
class Result:
    """What a run found."""

    tally: Tally
    alerts: dict[str, Alert]
    """Id -> alert in its last state, in order of opening."""
    arrivals: Arrivals
    """Counts of what came late or twice."""
    dead: int
    dead_letters: Path | None
    waiting: dict[str, int]
    """Sink -> changes of alerts that it has not taken yet; the next run with the same state sends them."""


@dataclass
class Models:
    """The champions that label, the English one first, and the encoder that groups stories."""

    labellers: list[Predictor]
    embedder: Embedder

    def lineage(self) -> dict[str, Any]:
        """Name, version and manifest hash of the main labeller, for alerts."""
        version = self.labellers[0].version
        if version is None:
            return {"name": self.labellers[0].model, "version": None, "sha256": None}
        return {"name": version.name, "version": version.number, "sha256": version.sha256()}


def models(progress: Progress) -> Models:
    """The store's champions; the English one is trained first when there is none."""
    store = Store()
    if not store.has(ENGLISH):
        progress.stage(f"the store has no {ENGLISH} model yet: training it once, some minutes on two cores")
        train(Recipe.load("recipes/finance_news.yaml"), watcher=progress)
    names = [name for name in (ENGLISH, MULTILINGUAL) if store.has(name)]
    progress.stage(f"loading {', '.join(str(store.get(name)) for name in names)}")
    return Models([load(name) for name in names], Embedder("minilm"))


def monitor(
    sources: Sequence[Source],
    models: Models,
    *,
    follow: bool = False,
    watch_list: Path | None = None,
    dead_letters: Path | None = None,
    log: Path | None = None,
    state: str | None = None,
    sinks: Sequence[Sink] = (),
    budget: float = BUDGET,
    lateness: timedelta = LATENESS,
    on_change: Callable[[Change], None] | None = None,
    on_pulse: Callable[[Pulse], None] | None = None,
    until: threading.Event | None = None,
) -> Result:
    """Read all feeds to their end (or, with `follow`, until interrupted) and follow their topics and companies.

    Args:
        log: alerts are written here as they open and end, one JSON object a line.
        state: a file or database's URL that keeps what was read and found: the next run goes on there, even after a
            kill. Without one a file that is read to its end has its alerts ended, and all its items in order.
        sinks: are sent each change of an alert; they need a state, which keeps what they have been told.
        budget: false alarms a day.
        lateness: how long an item of a live feed or one with a state is waited for.
        on_change: called as an alert opens and as it ends.
        on_pulse: called at the start and after each chunk.
        until: reading ends when this is set.
    """
    names = companies_in(watch_list) if watch_list else []
    journal = Journal(state) if state else None

    def fresh() -> State:
        waits = lateness if follow or journal else None
        return State(Arrivals(waits), Monitor(Stories(), Companies(names), Alarms(models.lineage(), budget=budget)))

    now = journal.restore(fresh) if journal else fresh()
    # What was kept has the settings of its time.
    now.monitor.alarms.model, now.monitor.alarms.budget = models.lineage(), budget
    now.monitor.companies.watch(names)
    told = Lines(log, journal.changes() if journal else (), append=journal is None)
    dead = Lines(dead_letters, journal.dead() if journal else ())
    if log:
        log.touch()

    def tell(alerts: Iterable[Alert]) -> list[Change]:
        return [
            Change(alert.id, alert.revision, alert.status, json.dumps(alert.as_dict(), ensure_ascii=False))
            for alert in alerts
        ]

    def publish(changes: list[Change]) -> None:
        told.write(change.line for change in changes)
        for change in changes:
            if on_change:
                on_change(change)

    def beat(items: Sequence[Labelled] = (), seconds: float = 0.0, points: Sequence[Point] = ()) -> None:
        if on_pulse:
            firing = [alert.as_dict() for alert in now.monitor.alarms.firing.values()]
            received = max((one.item.received for one in items), default=None)
            counted = (now.monitor.tally.items, now.arrivals.late, now.arrivals.duplicates, dead.count)
            on_pulse(Pulse(*counted, now.monitor.tally.last, received, len(items), seconds, firing, points))

    outbox = Outbox(journal.database, sinks) if journal else None
    reading = chunks(sources, CHUNK, journal.position if journal else None, until=until)
    try:
        if outbox:
            outbox.clock = now.monitor.tally.last
            outbox.start()
        beat()
        for chunk in reading:
            found = [entry.found for entry in chunk]
            begun = time.perf_counter()
            items = labels.label([one for one in found if isinstance(one, NewsItem)], models.labellers, models.embedder)
            seconds = time.perf_counter() - begun
            letters = [one for one in found if isinstance(one, DeadLetter)]
            complete = (ready for item in items for ready in now.arrivals.add(item))
            changes = tell(now.monitor.take(complete))
            points, now.monitor.points = now.monitor.points, []
            if journal:
                journal.write({entry.feed: entry.after for entry in chunk}, items, letters, changes, now, points)
            if outbox:
                outbox.clock = now.monitor.tally.last
            dead.write(json.dumps(vars(letter), ensure_ascii=False) for letter in letters)
            publish(changes)
            for source in sources:
                source.committed(chunk)
            beat(items, seconds, points)
        if journal:
            journal.keep(now)
        else:
            publish(tell(now.monitor.take(now.arrivals.rest())))
            publish(tell(now.monitor.end()))
    except KeyboardInterrupt:
        if not follow:
            raise
        if journal is None:
            publish(tell(now.monitor.take(now.arrivals.rest())))
    finally:
        reading.close()
        for source in sources:
            source.close()
        told.close()
        dead.close()
        waiting = outbox.end() if outbox else {}
        if journal:
            journal.close()
    lost = dead.path if dead.count else None
    return Result(now.monitor.tally, now.monitor.alerts, now.arrivals, dead.count, lost, waiting)


def write_alerts(alerts: dict[str, Alert], path: Path) -> None:
    """One JSON object an alert, in order of opening; the file is replaced whole."""
    replace(path, (json.dumps(alert.as_dict(), ensure_ascii=False) for alert in alerts.values()))


def companies_in(path: Path) -> list[str]:
    """The names of a watch list."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"--companies {path}: not readable as UTF-8 text, a name a line ({fault})") from None
