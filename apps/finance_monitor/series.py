"""Series: what came a step and key, and what was to be expected, for charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from apps.finance_monitor.windows import ALL, Key, Step

if TYPE_CHECKING:
    from apps.finance_monitor.baseline import Baseline

COMPANIES = 50
"""Companies with points in one step, the busiest of late."""
FADES = 0.986
"""What a step leaves of how busy a key was: half in twelve hours."""
QUIET = 0.3
"""A key less busy than this has no points: one story is forgotten after a day."""


@dataclass(frozen=True)
class Point:
    """One key in one step.

    Attributes:
        time: end of the step.
        stories: that were told first in the step, of any sentiment; under the key of all negative news, the wire's.
        negative: of them.
        expected: negative stories, were all as usual.
    """

    time: datetime
    key: Key
    stories: int
    negative: int
    expected: float


class Steps:
    """Points of the keys that were busy of late: zeros where nothing came, so that charts have no holes."""

    def __init__(self) -> None:
        self._busy: dict[Key, float] = {}

    def points(self, now: datetime, came: Step, baseline: Baseline) -> list[Point]:
        """Of the step that ends at `now`."""
        told = {**{key: came.told[key] for key in came.told | came.negative}, ALL: came.stories}
        busy = {key: self._busy.get(key, 0.0) * FADES + told.get(key, 0) for key in self._busy.keys() | told}
        self._busy = {key: value for key, value in sorted(busy.items()) if value >= QUIET}
        companies = sorted((key for key in self._busy if key.type == "company"), key=lambda key: -self._busy[key])
        shown = [*(key for key in self._busy if key.type != "company"), *companies[:COMPANIES]]
        return [
            Point(now, key, told.get(key, 0), came.negative[key], baseline.expected(key, came.stories)) for key in shown
        ]


def rfc3339(time: datetime) -> str:
    """In UTC, whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
