"""Trial: the alarms of one budget over a history, and how well they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from apps.finance_monitor.backtest import Event, Score, score
from apps.finance_monitor.history import Course, History
from apps.finance_monitor.rate import Rate
from apps.finance_monitor.windows import WINDOW

BUDGETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0)
"""False alarms a day that a sweep allows."""


@dataclass(frozen=True)
class Trial:
    budget: float
    """False alarms a day that were allowed."""
    course: Course
    score: Score | None
    """None: nobody knows what was planted."""

    @classmethod
    def of(cls, history: History, events: Sequence[Event] | None, budget: float) -> Trial:
        course = history.replay(budget)
        return cls(budget, course, None if events is None else score(course.alerts, events))

    @property
    def alarms(self) -> Rate:
        return Rate(len(self.course.alerts), self.course.days)

    def as_dict(self) -> dict[str, Any]:
        """Figures as one JSON object."""
        found: dict[str, Any] = {
            "budget": self.budget,
            "days": round(self.course.days, 4),
            "alarms": self.alarms.count,
            "alarms_per_day": self.alarms.a_day,
            "alarms_per_day_95": self.alarms.interval,
        }
        if self.score is None:
            return found
        false = self.false_alarms(self.score)
        delays = {
            "mean": self.score.mean_delay_windows,
            "median": self.score.median_delay_windows,
            "max": self.score.max_delay_windows,
        }
        return found | {
            "precision": self.score.precision,
            "recall": self.score.recall,
            "f1": self.score.f1,
            **{f"{name}_delay_windows": value for name, value in delays.items()},
            **{f"{name}_delay_minutes": minutes(value) for name, value in delays.items()},
            "repeats": len(self.score.repeats),
            "false_alarms": false.count,
            "false_alarms_per_day": false.a_day,
            "false_alarms_per_day_95": false.interval,
        }

    def false_alarms(self, of: Score) -> Rate:
        return Rate(len(of.false_alarms), self.course.days)


def minutes(windows: float) -> float:
    """Of so many windows."""
    return windows * (WINDOW / timedelta(minutes=1))
