"""Escalation: a sink that is told only of alerts that are critical, or still fire after a while of event time.

While a silence hides an alert it is not escalated; if it fires on, it is as soon as nothing hides it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.finance_monitor.hearing import Heard
from apps.finance_monitor.sinks.sink import Alert, Sink


@dataclass(frozen=True)
class Escalation:
    """Another sink, and when it is called in."""

    sink: Sink
    after: timedelta

    @property
    def name(self) -> str:
        return f"escalation after {self.after / timedelta(minutes=1):g} minutes: {self.sink.name}"

    def send(self, message: str, alert: Alert) -> None:
        self.sink.send(message, alert)


@dataclass(frozen=True)
class Moment:
    """A change that an escalation is told of.

    Attributes:
        number: of the change; its last one, where time has passed.
        why: None: the alert was escalated before.
    """

    number: int
    why: str | None


@dataclass
class _Firing:
    due: datetime
    number: int
    hidden: bool
    escalated: bool = False
    told: int = 0
    """Number of the last change that was."""


class Moments:
    """What an escalation is told, in order. It follows from what is heard and the clock of events alone: it is the same
    whenever it is asked for, so that a count of those told is all that has to be kept.
    """

    def __init__(self, after: timedelta) -> None:
        self.found: list[Moment] = []
        self.seen = 0
        """Place of the last note that was looked at."""
        self._after = after
        self._firing: dict[str, _Firing] = {}

    def see(self, notes: Iterable[Heard], clock: datetime | None) -> None:
        """Look at further notes.

        Args:
            notes: in order.
            clock: none before this is still to come.
        """
        for note in notes:
            self._pass(note.time)
            self._take(note, json.loads(note.data))
            self.seen = note.place
        if clock:
            self._pass(clock)

    def _take(self, note: Heard, alert: Alert) -> None:
        hidden = note.silence is not None
        one = self._firing.setdefault(alert["id"], _Firing(note.time + self._after, note.number, hidden))
        one.number = note.number
        if one.hidden and not hidden:
            one.due = max(one.due, note.time)
        one.hidden = hidden
        if alert["status"] == "resolved":
            del self._firing[alert["id"]]
        if hidden:
            return
        if one.escalated and one.told < note.number:
            self._tell(one, None)
        elif not one.escalated and alert["status"] == "firing" and alert["severity"] == "critical":
            self._tell(one, "now critical")

    def _pass(self, time: datetime) -> None:
        """At the same time as a change, the change comes first: the alert may have ended."""
        heard = ((alert, one) for alert, one in self._firing.items() if not (one.escalated or one.hidden))
        for _, alert in sorted((one.due, alert) for alert, one in heard if one.due < time):
            self._tell(self._firing[alert], f"firing for {self._after / timedelta(minutes=1):g} minutes")

    def _tell(self, one: _Firing, why: str | None) -> None:
        one.escalated, one.told = True, one.number
        self.found.append(Moment(one.number, why))
