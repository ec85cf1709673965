"""Alarms: keys whose negative stories surge past what is usual open an alert, which ends when the surge does."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from apps.finance_monitor.baseline import Baseline
from apps.finance_monitor.windows import STEP, WINDOW, Key, Mention, Window

BUDGET = 0.5
"""False alarms a day."""
CRITICAL = 1e-9
LEAST_STORIES = 5
"""Distinct stories below which nothing is a surge, however quiet the wire."""
CALM = 0.01
"""An alert ends when its p-value has stayed above this for a whole window."""
OVERLAP = 0.5
"""Share of evidence that two keys have in common when they tell of the same event."""


@dataclass
class Alert:
    """One surge, from opening to end. `observed`, `expected`, `share` and `p_value` are those of its peak."""

    key: Key
    opened: datetime
    observed: int
    expected: float
    share: float
    p_value: float
    model: dict[str, Any]
    closed: datetime | None = None
    related: list[Key] = field(default_factory=list)
    evidence: dict[str, Mention] = field(default_factory=dict)
    """Story -> its first telling."""
    calm_since: datetime | None = None

    @property
    def id(self) -> str:
        """The same for the same feed: a replay finds its alerts again."""
        text = f"{self.key.type}:{self.key.value}:{self.opened.isoformat()}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def status(self) -> str:
        return "resolved" if self.closed else "firing"

    @property
    def severity(self) -> str:
        return "critical" if self.p_value < CRITICAL else "warning"

    def as_dict(self) -> dict[str, Any]:
        """The alert as one JSON object; times RFC 3339 in UTC."""
        return {
            "id": self.id,
            "key": {"type": self.key.type, "value": self.key.value},
            "status": self.status,
            "opened": _rfc3339(self.opened),
            "closed": _rfc3339(self.closed) if self.closed else None,
            "window_minutes": int(WINDOW / timedelta(minutes=1)),
            "severity": self.severity,
            "observed": self.observed,
            "expected": round(self.expected, 4),
            "share": round(self.share, 4),
            "p_value": self.p_value,
            "related": [{"type": key.type, "value": key.value} for key in self.related],
            "evidence": [{"id": m.item_id, "title": m.title} for m in self.evidence.values()],
            "model": self.model,
        }


class Alarms:
    """Tests every key at the end of every step.

    The budget of false alarms is dealt out among all tests of a day, those of every known key at every step, so that
    whatever is usual exceeds it no more often (Bonferroni); tests of overlapping windows and of keys that share their
    news are alike, which errs on the side of fewer.

    Keys that surge over the same stories (a bank and the topic of its trouble) make one alert: the key with the
    smallest p-value names it, the others are its related keys.

    Args:
        model: what labelled the news, for the alerts.
        budget: false alarms a day.
    """

    def __init__(self, model: dict[str, Any], *, budget: float = BUDGET) -> None:
        self.firing: dict[Key, Alert] = {}
        self.model = model
        self.budget = budget
        self._baseline = Baseline()

    def step(self, now: datetime, window: Window) -> list[Alert]:
        """Alerts that opened or ended at `now`, the end of a step; `window` holds the hour before it."""
        negative = window.negative()
        stories = window.stories()
        changed = []
        tested = []
        for key, mentions in negative.items():
            others = max(1, stories - len(mentions))
            tested.append((self._baseline.p_value(key, len(mentions), others), key, others))
        alpha = self.budget * (STEP / timedelta(days=1)) / max(1, self._baseline.known(negative))
        for p_value, key, others in sorted(tested):
            mentions = negative[key]
            if len(mentions) < LEAST_STORIES or p_value >= alpha:
                continue
            alert = self.firing.get(key) or self._same_event(mentions)
            if alert is None:
                expected = self._baseline.expected(key, others)
                alert = Alert(key, now, len(mentions), expected, len(mentions) / max(1, stories), p_value, self.model)
                self.firing[key] = alert
                changed.append(alert)
            elif alert.key != key:
                alert.related += [key] if key not in alert.related else []
            elif p_value < alert.p_value:
                alert.observed, alert.p_value = len(mentions), p_value
                alert.expected, alert.share = self._baseline.expected(key, others), len(mentions) / max(1, stories)
            alert.evidence |= {mention.story: mention for mention in mentions if mention.story not in alert.evidence}
        changed += self._end(now, {key: p_value for p_value, key, _ in tested})
        watched = {key for alert in self.firing.values() for key in (alert.key, *alert.related)}
        count, counts = window.step_counts(now - STEP)
        for key in watched:
            counts.pop(key, None)
        self._baseline.learn(now, count, counts)
        return changed

    def expected(self, key: Key, stories: int) -> float:
        """Negative stories of the key that are usual among so many of the wire."""
        return self._baseline.expected(key, stories)

    def _same_event(self, mentions: list[Mention]) -> Alert | None:
        stories = {mention.story for mention in mentions}
        for alert in self.firing.values():
            if len(stories & alert.evidence.keys()) >= OVERLAP * len(stories):
                return alert
        return None

    def _end(self, now: datetime, p_values: dict[Key, float]) -> list[Alert]:
        ended = []
        for key, alert in list(self.firing.items()):
            if p_values.get(key, 1.0) <= CALM:
                alert.calm_since = None
            elif alert.calm_since is None:
                alert.calm_since = now
            elif now - alert.calm_since >= WINDOW:
                alert.closed = now
                ended.append(self.firing.pop(key))
        return ended


def _rfc3339(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
