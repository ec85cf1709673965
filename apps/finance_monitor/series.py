"""Series: what came a step and key, and what was to be expected, for charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from apps.finance_monitor.baseline import Baseline
from apps.finance_monitor.windows import ALL, Key, Step


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


def points(now: datetime, came: Step, baseline: Baseline) -> list[Point]:
    """Of the step that ends at `now`: the wire, and every key that something was told of."""
    counts = {ALL: came.stories, **{key: came.told[key] for key in sorted(came.told | came.negative)}}
    return [
        Point(now, key, stories, came.negative[key], baseline.expected(key, came.stories))
        for key, stories in counts.items()
    ]
