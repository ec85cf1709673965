"""Alarms: keys whose negative stories surge past what is usual open an alert, which ends when the surge does.

    p < alpha                opens an alert, or opens again one that ended a short while ago
    p < alpha x PENDING      pending: shown, told to nobody
    p > CALM for a window    ends it; at once, where what it stood on was taken back

Between opening and end lies a wide gap, so that nothing flaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.finance_monitor.alert import Alert
from apps.finance_monitor.baseline import Baseline, Tails
from apps.finance_monitor.windows import ALL, STEP, WINDOW, Key, Mention, Step, Window, Withdrawn

BUDGET = 0.5
"""False alarms a day."""
SURGES = 0.8
"""Share of the budget that surges have; the rest is for notices of volume and drift."""
LEAST_STORIES = 5
"""Distinct stories below which nothing is a surge, however quiet the wire."""
CALM = 0.01
"""An alert ends when its p-value has stayed above this for a whole window."""
PENDING = 100.0
"""Times alpha up to which a key is watched as one that may be about to surge."""
OVERLAP = 0.5
"""Share of evidence that two keys have in common when they tell of the same event."""
GROWN = 1.5
"""Times the stories told of, from which an alert is told anew; not more often than once a window."""
REMEMBERED = timedelta(hours=48)
"""An alert that ended is corrected for so long, and ..."""
REOPENED = timedelta(hours=4)
"""... for so long it opens again, where its key surges again, instead of a new one."""


class Alarms:
    """Tests every key at the end of every step.

    The budget of false alarms is dealt out among all tests of a day, those of every known key at every step, so that
    whatever is usual exceeds it no more often (Bonferroni); tests of overlapping windows and of keys that share their
    news are alike, which errs on the side of fewer.

    Keys that surge over the same stories (a bank and the topic of its trouble) are one incident and make one alert: the
    key with the smallest p-value names it, the others are its related keys. All negative news together is tested last,
    without the stories that an alert explains already.

    Attributes:
        ended: alerts that ended less than two days ago, and may be corrected or open again.
        settings: of the run, for the alerts.
        pending: keys that may be about to surge -> their p-values.

    Args:
        model: what labelled the news, for the alerts.
        budget: false alarms a day.
        calendar: country whose public holidays are taken for Sundays.
    """

    def __init__(self, model: dict[str, Any], *, budget: float = BUDGET, calendar: str | None = None) -> None:
        self.firing: dict[Key, Alert] = {}
        self.ended: list[Alert] = []
        self.pending: dict[Key, float] = {}
        self.model = model
        self.settings: dict[str, Any] = {}
        self.budget = budget
        self.baseline = Baseline(calendar)
        self._told: dict[str, int] = {}
        """Alert -> how many stories and related keys it had when it was told last."""

    def step(self, now: datetime, window: Window, came: Step) -> list[Alert]:
        """Alerts that opened, changed or ended at `now`, the end of a step.

        Args:
            window: the hour before it.
            came: what came in the step.
        """
        negative = window.negative()
        stories = window.stories()
        alpha = SURGES * self.budget * (STEP / timedelta(days=1)) / max(1, self.baseline.known(negative))
        tests = {
            key: self.baseline.tails(key, len(mentions), stories, now)
            for key, mentions in negative.items()
            if key != ALL and (len(mentions) >= LEAST_STORIES or key in self.firing)
        }
        self.pending = {}
        for key in sorted(tests, key=lambda one: (tests[one].p_value, one)):
            self._judge(key, negative[key], tests[key], stories, alpha, now)
        if rest := self._unexplained(negative.get(ALL, [])):
            tests[ALL] = self.baseline.tails(ALL, len(rest), stories, now)
            self._judge(ALL, rest, tests[ALL], stories, alpha, now)
        self._end(now, {key: tails.p_value for key, tails in tests.items()})
        self._learn(now, stories, came)
        return self._tell(now)

    def join(self, other: str, story: str) -> None:
        """Two stories turn out to be one."""
        for alert in (*self.firing.values(), *self.ended):
            alert.join(other, story)

    def withdraw(self, tellings: Sequence[Withdrawn]) -> None:
        """Tellings that their source took back: alerts that stand on them are told anew at the next step."""
        for one in tellings:
            for alert in (*self.firing.values(), *self.ended):
                if one.key in alert.keys:
                    alert.correct(one)

    def _judge(
        self, key: Key, mentions: list[Mention], tails: Tails, stories: int, alpha: float, now: datetime
    ) -> None:
        alert = self.firing.get(key)
        if len(mentions) < LEAST_STORIES or tails.p_value >= alpha:
            if alert is None and len(mentions) >= LEAST_STORIES and tails.p_value < PENDING * alpha:
                self.pending[key] = tails.p_value
            return
        share = len(mentions) / max(1, stories)
        alert = alert or self._same_event(mentions) or self._again(key, now)
        if alert is None:
            alert = self.firing[key] = Alert(key, now, len(mentions), share, tails, alpha, self.model, self.settings)
        if alert.key == key:
            alert.see(len(mentions), share, tails, alpha)
        elif key not in alert.related:
            alert.related.append(key)
        alert.gather(mentions)

    def _same_event(self, mentions: list[Mention]) -> Alert | None:
        stories = {mention.story for mention in mentions}
        for alert in self.firing.values():
            if len(stories & alert.evidence.keys()) >= OVERLAP * len(stories):
                return alert
        return None

    def _again(self, key: Key, now: datetime) -> Alert | None:
        for alert in self.ended:
            if alert.key == key and alert.closed and now - alert.closed <= REOPENED:
                self.ended.remove(alert)
                alert.closed = alert.reason = alert.calm_since = None
                alert.news = True
                self.firing[key] = alert
                return alert
        return None

    def _unexplained(self, mentions: list[Mention]) -> list[Mention]:
        told = {story for alert in self.firing.values() if alert.key != ALL for story in alert.evidence}
        return [mention for mention in mentions if mention.story not in told]

    def _end(self, now: datetime, p_values: dict[Key, float]) -> None:
        for key, alert in list(self.firing.items()):
            if p_values.get(key, 1.0) <= CALM:
                alert.calm_since = None
                continue
            alert.calm_since = alert.calm_since or now
            retracted = len(alert.evidence) < LEAST_STORIES and bool(alert.corrected)
            if retracted or now - alert.calm_since >= WINDOW:
                alert.closed, alert.reason, alert.news = now, "retracted" if retracted else "calm", True
                self.ended.append(self.firing.pop(key))
        self.ended = [alert for alert in self.ended if alert.closed and now - alert.closed <= REMEMBERED]

    def _learn(self, now: datetime, stories: int, came: Step) -> None:
        watched = {key for alert in self.firing.values() for key in alert.keys}
        usual = came.negative.copy()
        for key in watched:
            usual.pop(key, None)
        if watched:
            usual.pop(ALL, None)  # its stories are not told apart here
        self.baseline.learn(now, came.stories, stories, usual)

    def _tell(self, now: datetime) -> list[Alert]:
        told = []
        for alert in (*self.firing.values(), *self.ended):
            size = len(alert.evidence) + len(alert.related)
            due = alert.updated is None or now - alert.updated >= WINDOW
            if alert.news or (alert.closed is None and due and size >= GROWN * self._told.get(alert.id, 0)):
                alert.tell(now)
                self._told[alert.id] = size
                told.append(alert)
        self._told = {alert.id: self._told[alert.id] for alert in (*self.firing.values(), *self.ended)}
        return told
