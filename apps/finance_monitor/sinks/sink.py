"""Sink: where changes of alerts are sent, and what is said of them to people."""

from __future__ import annotations

from typing import Any, Protocol

TIMEOUT = 10.0
"""Seconds that a sink may take to answer."""
HEADLINES = 5
"""Headlines of evidence in a message."""
Alert = dict[str, Any]
"""As an alert's `as_dict` gives it."""
_COUNTED = {"surge": "negative stories", "volume": "stories", "drift": "negative stories"}


class Refused(Exception):
    """The sink did not take a message.

    Attributes:
        wait: seconds that it asked to be left alone; 0 where it named none.
        final: it will never take this message.
    """

    def __init__(self, reason: str, wait: float = 0.0, *, final: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.final = final


class Sink(Protocol):
    @property
    def name(self) -> str:
        """The same at each start: the journal notes by it how far this sink has been told."""

    def send(self, message: str, alert: Alert) -> None:
        """Tell of a change.

        Args:
            message: id of the change, the same at each try.

        Raises:
            Refused: it was not taken.
        """
        ...


def change(alert: Alert) -> str:
    """What a change is: "opened", "updated", "escalated" or "resolved"."""
    if alert["status"] == "resolved":
        return "resolved"
    if "escalated" in alert:
        return "escalated"
    return "opened" if alert["revision"] == 1 else "updated"


def headline(alert: Alert) -> str:
    """One line for people."""
    what = "all news" if alert["key"]["type"] == "all" else f"{alert['key']['type']} {alert['key']['value']}"
    stories = f"{_COUNTED[alert['kind']]} on {what}"
    if alert["status"] == "resolved":
        end = "taken back by its sources" if alert["reason"] == "retracted" else "ended"
        return f"Over: {stories} since {alert['opened']}, {end} {alert['closed']}"
    word = {"opened": "", "updated": "Update, ", "escalated": f"Escalated ({alert.get('escalated')}), "}[change(alert)]
    rising = "slowly rising, " if alert["kind"] == "drift" else ""
    text = (
        f"{word}{alert['severity']}: {alert['observed']} {stories} in {alert['window_minutes']} minutes, "
        f"{rising}{alert['expected']:.1f} expected"
    )
    return text[0].upper() + text[1:]
