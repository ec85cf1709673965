"""Escalation: a sink that is told only of alerts that are critical, or still fire after a while of event time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

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
    escalated: bool = False


class Moments:
    """What an escalation is told, in order. It follows from the changes and the clock of events alone: it is the same
    whenever it is asked for, so that a count of those told is all that has to be kept.
    """

    def __init__(self, after: timedelta) -> None:
        self.found: list[Moment] = []
        self.seen = 0
        """Number of the last change that was looked at."""
        self._after = after
        self._firing: dict[str, _Firing] = {}

    def see(self, changes: Iterable[tuple[int, str]], clock: datetime | None) -> None:
        """Look at further changes.

        Args:
            changes: numbers, and alerts as JSON, in order.
            clock: no change before this is still to come.
        """
        for number, data in changes:
            alert = json.loads(data)
            time = datetime.fromisoformat(alert["updated"])
            self._pass(time)
            self._take(number, alert, time)
            self.seen = number
        if clock:
            self._pass(clock)

    def _take(self, number: int, alert: Alert, time: datetime) -> None:
        one = self._firing.setdefault(alert["id"], _Firing(time + self._after, number))
        one.number = number
        if alert["status"] == "resolved":
            del self._firing[alert["id"]]
        if one.escalated:
            self.found.append(Moment(number, None))
        elif alert["status"] == "firing" and alert["severity"] == "critical":
            self._escalate(one, "now critical")

    def _pass(self, time: datetime) -> None:
        """At the same time as a change, the change comes first: the alert may have ended."""
        waiting = ((one.due, alert) for alert, one in self._firing.items() if not one.escalated and one.due < time)
        for _, alert in sorted(waiting):
            self._escalate(self._firing[alert], f"firing for {self._after / timedelta(minutes=1):g} minutes")

    def _escalate(self, one: _Firing, why: str) -> None:
        one.escalated = True
        self.found.append(Moment(one.number, why))
