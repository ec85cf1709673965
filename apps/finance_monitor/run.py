"""One run of the monitor: feed in, alerts and tally out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from apps.finance_monitor import feed, labels
from apps.finance_monitor.alarms import Alarms, Alert
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.monitor import Monitor, Tally
from apps.finance_monitor.stories import Stories
from engine import Embedder, Predictor, Progress, Recipe, Store, load, train
from engine.errors import InputError

ENGLISH, MULTILINGUAL = "finance-news", "finance-news-multilingual"
LATENESS = timedelta(minutes=5)
"""How long a live feed is waited for: an item later than this is taken as it comes, in the window it falls in."""


@dataclass
class Result:
    """What a run found."""

    tally: Tally
    alerts: dict[str, Alert] = field(default_factory=dict)
    """Id -> alert in its last state, in order of opening."""
    dead: int = 0
    dead_letters: Path | None = None


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
    source: str,
    models: Models,
    *,
    follow: bool = False,
    watch_list: Path | None = None,
    dead_letters: Path | None = None,
    on_alert: Callable[[Alert], None] | None = None,
) -> Result:
    """Read the feed to its end (or, with `follow`, until interrupted) and follow its topics and companies.

    Args:
        on_alert: called as an alert opens and as it ends.
    """
    names = _watch_list(watch_list) if watch_list else []
    watch = Monitor(Stories(), Companies(names), Alarms(models.lineage()))
    result = Result(watch.tally)
    with _DeadLetters(dead_letters) as dead:
        items = feed.read(source, follow=follow, dead=dead)
        items = _until_interrupted(items) if follow else items
        ordered = feed.in_order(items, lateness=LATENESS if follow else None)
        try:
            for alert in watch.run(
                labels.label(ordered, models.labellers, models.embedder, live=follow), ends=not follow
            ):
                result.alerts[alert.id] = alert
                if on_alert:
                    on_alert(alert)
        except KeyboardInterrupt:
            if not follow:
                raise
        result.dead, result.dead_letters = dead.count, dead.path if dead.count else None
    return result


def write_alerts(alerts: dict[str, Alert], path: Path) -> None:
    """One JSON object an alert, in order of opening; the file is replaced whole."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    lines = [json.dumps(alert.as_dict(), ensure_ascii=False) + "\n" for alert in alerts.values()]
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(path)


class _DeadLetters:
    """Counts dead letters and writes them, the file being made at the first."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.count = 0
        self._stream: Any = None

    def __enter__(self) -> _DeadLetters:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream:
            self._stream.close()

    def __call__(self, letter: feed.DeadLetter) -> None:
        self.count += 1
        if self.path is None:
            return
        if self._stream is None:
            self._stream = self.path.open("w", encoding="utf-8")
        self._stream.write(json.dumps(vars(letter), ensure_ascii=False) + "\n")
        self._stream.flush()


def _until_interrupted(items: Iterator[feed.NewsItem]) -> Iterator[feed.NewsItem]:
    """Ctrl-C ends a live feed as its end would: what was read is still worked off."""
    try:
        yield from items
    except KeyboardInterrupt:
        return


def _watch_list(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"--companies {path}: not readable as UTF-8 text, a name a line ({fault})") from None
