"""One run of the monitor: feed in, alerts and tally out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from apps.finance_monitor import labels, watchfile
from apps.finance_monitor.ahead import one_ahead
from apps.finance_monitor.alarms import BUDGET, Alarms
from apps.finance_monitor.alert import Alert
from apps.finance_monitor.arrivals import Arrivals
from apps.finance_monitor.backlog import MOST, Backlog
from apps.finance_monitor.cascade import Cascade
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.distilled import distilled
from apps.finance_monitor.feeds.source import Entry, Source, chunks
from apps.finance_monitor.items import DeadLetter, NewsItem
from apps.finance_monitor.journal import KEEP_ITEMS, Change, Journal, State
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.learn import COMPANY, NEWS, RECIPES
from apps.finance_monitor.letters import Letters
from apps.finance_monitor.lines import Lines, replace
from apps.finance_monitor.monitor import Monitor, Tally
from apps.finance_monitor.outbox import Outbox
from apps.finance_monitor.pulse import Pulse
from apps.finance_monitor.repeats import Vectors
from apps.finance_monitor.series import Point
from apps.finance_monitor.sinks import Sink
from apps.finance_monitor.stories import Stories
from apps.finance_monitor.towards import Reader
from apps.finance_monitor.watchlist import WatchList
from engine import Embedder, Predictor, Progress, Recipe, Store, Watch, load, sha256, train
from engine.errors import InputError

MULTILINGUAL = "finance-news-multilingual"
OTHERS = (MULTILINGUAL, COMPANY)
"""Used where the store has them."""
LATENESS = timedelta(minutes=5)
"""How long an item is waited for, in event time; a later one is counted and no more."""
CHUNK = 64
"""Lines that are labelled on all cores at a time, and kept in one transaction."""


@dataclass
class Result:
    """What a run found."""

    tally: Tally
    alerts: dict[str, dict[str, Any]]
    """Id -> alert as it was told last, in order of opening. Of a live feed without a state only those are known at its
    end that might still have changed."""
    arrivals: Arrivals
    """Counts of what came late or twice."""
    dead: int
    dead_letters: Path | None
    waiting: dict[str, int]
    """Sink -> changes of alerts that it has not taken yet; the next run with the same state sends them."""
    given_up: dict[str, int]
    """Sink -> changes that it refused too often."""


@dataclass(frozen=True)
class _Read:
    """A chunk that was labelled."""

    chunk: list[Entry]
    items: list[Labelled]
    seconds: float
    models: Models
    """That labelled it."""


@dataclass
class Models:
    """The champions that label, the English one first, and the encoder that groups stories."""

    labellers: Sequence[Predictor | Cascade]
    embedder: Embedder | Vectors
    towards: Predictor | None = None
    """Knows the sentiment towards one of a headline's companies."""

    def reader(self, watch_list: WatchList) -> Reader | None:
        """Reads companies, if any model knows of them."""
        finds = any(head.name == labels.COMPANIES for one in self.champions for head in one.spec.heads)
        return Reader(watch_list, self.towards) if finds or self.towards else None

    @property
    def champions(self) -> list[Predictor]:
        """The labellers, without what stands before them."""
        return [one.champion if isinstance(one, Cascade) else one for one in self.labellers]

    @property
    def repeated(self) -> int:
        """Titles so far that were answered from memory."""
        return sum(one.repeated for one in self.labellers if isinstance(one, Cascade))

    def hurry(self, overloaded: bool) -> None:
        """Leave all titles to the cheap models, or no longer."""
        for one in self.labellers:
            if isinstance(one, Cascade):
                one.overloaded = overloaded

    def lineage(self) -> dict[str, Any]:
        """Name, version and manifest hash of the main labeller, and of those beside it, for alerts."""
        main, *others = (_named(one) for one in (*self.champions, self.towards) if one)
        return {**main, "beside": others} if others else main


def models(progress: Progress, *, cascade: bool = False, spare: bool = False) -> Models:
    """The store's champions; the English one is trained first when there is none.

    Args:
        cascade: titles that a cheap model is sure of are left to it; it is made first when there is none. Of the feed's
            titles it takes .15, as it must be sure of sixteen topics at once, and labelling is 1.15 times as
            fast: too little to give up 2% of the champion's labels for by default.
        spare: there is a cheap model for overload.
    """
    store = Store()
    if not store.has(NEWS):
        progress.stage(f"the store has no {NEWS} model yet: training it once, some minutes on two cores")
        train(Recipe.load(RECIPES[NEWS]), watcher=progress)
    others = [name for name in OTHERS if store.has(name)]
    progress.stage(f"loading {', '.join(str(store.get(name)) for name in (NEWS, *others))}")
    found = loaded(NEWS)
    found.labellers = [_labeller(one, progress, cascade=cascade, spare=spare) for one in found.champions]
    return found


def loaded(news: str, beside: Sequence[str] | None = None) -> Models:
    """A version of the English labeller, beside those versions of the other models, or the store's champions."""
    store = Store()
    chosen = beside if beside is not None else [name for name in OTHERS if store.has(name)]
    others = {one.partition("@")[0]: load(one) for one in chosen}
    labellers = [load(news), *(others[name] for name in (MULTILINGUAL,) if name in others)]
    return Models(labellers, Vectors(labels.encoder()), others.get(COMPANY))


def _named(model: Predictor) -> dict[str, Any]:
    version = model.version
    if version is None:
        return {"name": model.model, "version": None, "sha256": None}
    return {"name": version.name, "version": version.number, "sha256": version.sha256()}


def _labeller(champion: Predictor, progress: Progress, *, cascade: bool, spare: bool) -> Cascade:
    if champion.version is None or not (cascade or spare):
        return Cascade(champion)
    try:
        return Cascade(champion, distilled(champion.version, champion, progress), spare=not cascade)
    except InputError as fault:
        progress.stage(f"no cheap model beside {champion.model}: {fault}")
        return Cascade(champion)


def monitor(
    sources: Sequence[Source],
    models: Models,
    *,
    follow: bool = False,
    watch_list: Path | None = None,
    dead_letters: Path | None = None,
    log: Path | None = None,
    state: str | None = None,
    keep_items: timedelta | None = KEEP_ITEMS,
    sinks: Sequence[Sink] = (),
    budget: float = BUDGET,
    calendar: str | None = None,
    notices: bool = False,
    lateness: timedelta = LATENESS,
    backlog: int = MOST,
    on_change: Callable[[Change], None] | None = None,
    on_pulse: Callable[[Pulse], None] | None = None,
    newer: Callable[[], Models | None] | None = None,
    until: threading.Event | None = None,
) -> Result:
    """Read all feeds to their end (or, with `follow`, until interrupted) and follow their topics and companies.

    Args:
        dead_letters: what is no item is added here with its reason; other runs may do so too.
        log: alerts are written here as they open and end, one JSON object a line.
        state: a file or database's URL that keeps what was read and found: the next run goes on there, even after a
            kill; `engine drift` finds there what the models were asked. Without one a file that is read to its end has
            its alerts ended, and all its items in order, or the next 100,000 of them.
        keep_items: how long the state holds items, in event time; None: for ever.
        sinks: are sent each change of an alert; they need a state, which keeps what they have been told.
        budget: false alarms a day.
        calendar: country whose public holidays are taken for Sundays.
        notices: tell of volume and drift as well.
        lateness: how long an item of a live feed or one with a state is waited for.
        backlog: items of a live feed that may wait before the cheap models answer all.
        on_change: called as an alert opens and as it ends.
        on_pulse: called at the start and after each chunk.
        newer: asked before each chunk for models to go on with; alerts that open from there on name those.
        until: reading ends when this is set.
    """
    listed = watchfile.read(watch_list) if watch_list else WatchList()
    reader = models.reader(listed)
    journal = Journal(state, keep_items=keep_items) if state else None
    ending = until or threading.Event()

    waits = lateness if follow or journal else None
    settings = {
        "false_alarms_per_day": budget,
        "lateness_minutes": waits / timedelta(minutes=1) if waits is not None else None,
        "companies": {"file": str(watch_list), "sha256": sha256(watch_list)} if watch_list else None,
        "calendar": calendar,
        "notices": notices,
    }

    def instructed(state: State) -> State:
        followed = state.monitor
        followed.alarms.model, followed.alarms.budget, followed.alarms.settings = models.lineage(), budget, settings
        followed.alarms.baseline.keep_holidays_of(calendar)
        followed.notices.told = notices
        followed.companies.watch(listed)
        return state

    def fresh() -> State:
        # Items that are taken again meet what they met at first.
        return instructed(State(Arrivals(waits), Monitor(Stories(), Companies(listed), Alarms(models.lineage()))))

    # What was kept has the settings of its time.
    now = instructed(journal.restore(fresh)) if journal else fresh()
    told = Lines(log, journal.changes() if journal else (), append=journal is None)
    dead = Letters(dead_letters, journal.dead() if journal else ())
    if log:
        log.touch()

    last: dict[str, dict[str, Any]] = {}

    def tell(alerts: Iterable[Alert]) -> list[Change]:
        changes = []
        for alert in alerts:
            told = alert.as_dict()
            changes.append(Change(alert.id, alert.revision, alert.status, json.dumps(told, ensure_ascii=False)))
            if journal is None:
                last[alert.id] = told
        for gone in last.keys() - now.monitor.alerts.keys() if follow else ():
            del last[gone]
        return changes

    def publish(changes: list[Change]) -> None:
        told.write(change.line for change in changes)
        for change in changes:
            if on_change:
                on_change(change)

    def beat(items: Sequence[Labelled] = (), seconds: float = 0.0, points: Sequence[Point] = ()) -> None:
        if on_pulse:
            firing = [alert.as_dict() for alert in now.monitor.firing()]
            received = max((one.item.received for one in items), default=None)
            counted = (now.monitor.tally.items, now.arrivals.late, now.arrivals.duplicates, dead.count)
            timed = (now.monitor.tally.last, received, len(items), seconds)
            routed = dict(now.monitor.tally.routes), models.repeated
            on_pulse(Pulse(*counted, *timed, firing, now.monitor.alarms.pending, points, *routed))

    outbox = Outbox(journal.database, sinks) if journal else None
    watch = Watch(journal.database) if journal else None
    read = chunks(sources, CHUNK, journal.position if journal else None, until=ending)
    ahead = Backlog(read, ending, most=backlog) if follow else None
    reading = ahead.chunks(CHUNK) if ahead else read

    def label() -> Generator[_Read]:
        """Chunks with their labels, by the models of their time."""
        answering, knows = models, reader
        with closing(reading):
            for chunk in reading:
                if newer and (promoted := newer()):
                    answering, knows = promoted, promoted.reader(listed)
                answering.hurry(ahead is not None and ahead.overloaded)
                found = [entry.found for entry in chunk if isinstance(entry.found, NewsItem)]
                begun = time.perf_counter()
                items = labels.label(found, answering.labellers, answering.embedder, knows, watch)
                yield _Read(chunk, items, time.perf_counter() - begun, answering)

    labelled = one_ahead(label(), ending)
    try:
        if outbox:
            outbox.clock = now.monitor.tally.last
            outbox.start()
        beat()
        for one in labelled:
            chunk, items = one.chunk, one.items
            if one.models is not models:
                models = one.models
                now.monitor.alarms.model = models.lineage()
            letters = [entry.found for entry in chunk if isinstance(entry.found, DeadLetter)]
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
            beat(items, one.seconds, points)
        if journal:
            journal.keep(now)
            last = journal.alerts()
        else:
            publish(tell(now.monitor.take(now.arrivals.rest())))
            publish(tell(now.monitor.end()))
    except KeyboardInterrupt:
        if not follow:
            raise
        if journal is None:
            publish(tell(now.monitor.take(now.arrivals.rest())))
        else:
            last = journal.alerts()
    finally:
        labelled.close()
        for source in sources:
            source.close()
        told.close()
        dead.close()
        waiting = outbox.end() if outbox else {}
        given_up = journal.given_up() if journal else {}
        if watch:
            watch.close()
        if journal:
            journal.close()
    lost = dead.path if dead.count else None
    return Result(now.monitor.tally, last, now.arrivals, dead.count, lost, waiting, given_up)


def write_alerts(alerts: dict[str, dict[str, Any]], path: Path) -> None:
    """One JSON object an alert, in order of opening; the file is replaced whole."""
    replace(path, (json.dumps(alert, ensure_ascii=False) for alert in alerts.values()))
