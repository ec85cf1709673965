"""Notices: volume out of proportion and slow drift, as alerts of their own kinds; nobody gets up at night for them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from apps.finance_monitor.alert import Alert
from apps.finance_monitor.baseline import Tails
from apps.finance_monitor.watch import Watch
from apps.finance_monitor.windows import Key, Step

if TYPE_CHECKING:
    from apps.finance_monitor.alarms import Alarms


class Notices:
    """Alerts of the severity "info", as `Watch` tells of them.

    Attributes:
        told: whether anything is watched and told. A surge often comes with a volume, so they are for those who ask.
    """

    def __init__(self) -> None:
        self.told = False
        self._watch = Watch()
        self._open: dict[tuple[str, Key], Alert] = {}

    def step(self, now: datetime, came: Step, stories: int, alarms: Alarms, budget: float) -> list[Alert]:
        """Notices that opened or ended at `now`, the end of a step.

        Args:
            stories: of the window that ends there.
            alarms: their model and settings are told with each notice.
            budget: false notices a day.
        """
        if not self.told:
            return []
        self._watch.budget = budget
        told = []
        for one in self._watch.step(now, came):
            place = one.kind, one.key
            if one.opened:
                tails = Tails(one.expected, one.expected / max(stories, one.expected), one.p_value, one.p_value)
                share = one.observed / max(stories, one.observed, 1)
                alert = Alert(
                    one.key,
                    one.since,
                    one.observed,
                    share,
                    tails,
                    None,
                    alarms.model,
                    alarms.settings,
                    one.kind,
                    severity="info",
                )
                self._open[place] = alert
            elif place in self._open:
                alert = self._open.pop(place)
                alert.closed, alert.reason = now, "calm"
            else:
                continue
            alert.tell(now)
            told.append(alert)
        return told

    def firing(self) -> list[Alert]:
        return list(self._open.values())
