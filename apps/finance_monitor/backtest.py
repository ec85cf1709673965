"""Backtest: how many planted surges the alarms found, how soon, and how many alarms were false."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from apps.finance_monitor.alert import Alert
from apps.finance_monitor.windows import WINDOW, Key
from engine.errors import InputError


@dataclass(frozen=True)
class Event:
    """Something planted in a feed: a surge that must be found, or a decoy that must not alarm."""

    kind: str
    key: Key
    start: datetime
    end: datetime
    note: str


@dataclass(frozen=True)
class Score:
    found: dict[str, float]
    """Surge -> windows from its start to its first alert."""
    missed: list[str]
    false_alarms: list[Alert]
    """Alerts that belong to no surge, decoys' included."""

    @property
    def recall(self) -> float:
        total = len(self.found) + len(self.missed)
        return len(self.found) / total if total else 1.0

    @property
    def max_delay_windows(self) -> float:
        return max(self.found.values(), default=0.0)


def score(alerts: Iterable[Alert], events: Iterable[Event]) -> Score:
    """Match alerts to surges: the key is the surge's (its own or a related one) and it opened between the surge's start
    and one window past its end."""
    waiting = sorted(alerts, key=lambda alert: alert.opened)
    found: dict[str, float] = {}
    missed = []
    for event in events:
        if event.kind != "surge":
            continue
        name = f"{event.key.type} {event.key.value}"
        mine = [
            a for a in waiting if event.key in (a.key, *a.related) and event.start <= a.opened <= event.end + WINDOW
        ]
        if mine:
            found[name] = (mine[0].opened - event.start) / WINDOW
            waiting = [alert for alert in waiting if alert not in mine]
        else:
            missed.append(name)
    return Score(found, missed, waiting)


def events(path: Path) -> list[Event]:
    """Planted events of a file of JSON lines.

    Raises:
        InputError: a line is no event; with file, line and what is wrong.
    """
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"--events {path}: not readable ({fault})") from None
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            key = Key(values["key"]["type"], values["key"]["value"])
            start, end = (datetime.fromisoformat(values[name]) for name in ("start", "end"))
            found.append(Event(values["kind"], key, start, end, values.get("note", "")))
        except (ValueError, KeyError, TypeError) as fault:
            raise InputError(
                f"--events {path}, line {number}: no event ({fault!r}); give kind, key {{type, value}}, start, end"
            ) from None
    return found
