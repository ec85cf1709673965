"""Backtest: which planted surges the alarms found, how soon, and which alarms were false."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean, median

from apps.finance_monitor.alert import Alert
from apps.finance_monitor.windows import WINDOW, Key
from engine.errors import InputError


@dataclass(frozen=True)
class Event:
    """Something planted in a feed: a surge that must be found, or a decoy that must not alarm.

    Attributes:
        key: of type "all": the whole wire's, so that an alert of any key tells of it.
        aliases: other names of the same company or topic.
    """

    kind: str
    key: Key
    start: datetime
    end: datetime
    note: str
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.key.type} {self.key.value} {self.start:%m-%d %H:%M}"

    def concerns(self, key: Key) -> bool:
        """Whether an alert of this key tells of the event; upper and lower case are one."""
        names = {name.casefold() for name in (self.key.value, *self.aliases)}
        return self.key.type == "all" or (key.type == self.key.type and key.value.casefold() in names)

    def spans(self, time: datetime) -> bool:
        """Whether an alert that opens then may tell of the event: from its start to one window past its end."""
        return self.start <= time <= self.end + WINDOW

    def told_by(self, alert: Alert) -> bool:
        return self.spans(alert.opened) and any(map(self.concerns, alert.keys))


@dataclass(frozen=True)
class Match:
    """A surge and the alert that told of it."""

    event: Event
    alert: Alert

    @property
    def delay(self) -> float:
        """Windows from the start of the surge to its alert."""
        return (self.alert.opened - self.event.start) / WINDOW


@dataclass(frozen=True)
class Score:
    """What became of all surges and all alerts."""

    found: Sequence[Match]
    missed: Sequence[Event]
    repeats: Sequence[Alert]
    """Further alerts of surges: neither found nor false."""
    false_alarms: Sequence[Alert]
    """Alerts that belong to no surge, decoys' included."""

    @property
    def alarms(self) -> int:
        return len(self.found) + len(self.repeats) + len(self.false_alarms)

    @property
    def recall(self) -> float:
        """Found surges of all; 1 where there are none."""
        return _share(len(self.found), len(self.missed))

    @property
    def precision(self) -> float:
        """Found surges of those and the false alarms, so that repeats earn nothing; 1 where there are neither."""
        return _share(len(self.found), len(self.false_alarms))

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def delays(self) -> list[float]:
        """In windows."""
        return [match.delay for match in self.found]

    @property
    def mean_delay_windows(self) -> float:
        return fmean(self.delays) if self.found else 0.0

    @property
    def median_delay_windows(self) -> float:
        return median(self.delays) if self.found else 0.0

    @property
    def max_delay_windows(self) -> float:
        return max(self.delays, default=0.0)


def score(alerts: Iterable[Alert], events: Iterable[Event]) -> Score:
    """Match alerts to surges, each to at most one.

    Of all ways to do so, one that finds the most surges, and of those the one with the least delay in sum.
    """
    waiting = sorted(alerts, key=lambda alert: (alert.opened, alert.id))
    surges = [event for event in events if event.kind == "surge"]
    found = {place: Match(surges[place], waiting[mine]) for place, mine in _pairs(surges, waiting)}
    matched = {id(match.alert) for match in found.values()}
    repeats: list[Alert] = []
    false: list[Alert] = []
    for alert in waiting:
        if id(alert) not in matched:
            (repeats if any(event.told_by(alert) for event in surges) else false).append(alert)
    missed = [event for place, event in enumerate(surges) if place not in found]
    return Score([found[place] for place in sorted(found)], missed, repeats, false)


def _pairs(surges: Sequence[Event], alerts: Sequence[Alert]) -> list[tuple[int, int]]:
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    if not surges or not alerts:
        return []
    delays = np.full((len(surges), len(alerts)), np.inf)
    for row, event in enumerate(surges):
        for column, alert in enumerate(alerts):
            if event.told_by(alert):
                delays[row, column] = Match(event, alert).delay
    # A pair that may not be costs more than all delays together, so that it is taken where nothing else is left.
    possible = np.isfinite(delays)
    never = 1.0 + delays[possible].sum()
    rows, columns = linear_sum_assignment(np.where(possible, delays, never))
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if possible[row, column]]


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else 1.0


def events(path: Path) -> list[Event]:
    """Planted events of a file of JSON lines.

    Raises:
        InputError: a line is no event; with file, line and what is wrong.
    """
    found = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"--events {path}: not readable ({fault})") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(_event(line))
        except (ValueError, KeyError, TypeError) as fault:
            raise InputError(
                f"--events {path}, line {number}: no event ({fault!r}); give kind (surge or decoy), "
                "key {type (topic, company or all), value, aliases?}, start, end"
            ) from None
    return found


def _event(line: str) -> Event:
    values = json.loads(line)
    kind, names = values["kind"], values["key"]
    if kind not in ("surge", "decoy"):
        raise ValueError(f"kind {kind!r}")
    if names["type"] not in ("topic", "company", "all"):
        raise ValueError(f"key.type {names['type']!r}")
    key = Key(names["type"], "all" if names["type"] == "all" else str(names["value"]))
    start, end = (datetime.fromisoformat(values[name]) for name in ("start", "end"))
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("a time without zone; write 2026-03-02T08:15:00Z")
    if end < start:
        raise ValueError("end lies before start")
    return Event(kind, key, start, end, str(values.get("note", "")), tuple(map(str, names.get("aliases", ()))))
