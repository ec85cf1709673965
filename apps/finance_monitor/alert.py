"""Alert: one surge of negative news and what became of it, from its opening to its end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from scipy.stats import chi2

from apps.finance_monitor.baseline import Tails
from apps.finance_monitor.series import rfc3339
from apps.finance_monitor.windows import WINDOW, Key, Mention, Withdrawn

Kind = Literal["surge", "volume", "drift"]
Severity = Literal["info", "warning", "critical"]
CRITICAL = 10.0
"""An alert is critical when the negative stories are, with 95% confidence, at least so many times the usual."""
KEPT = 500
"""Stories of evidence that are kept with an alert."""


@dataclass
class Alert:
    """What is known of a surge. `observed`, `share` and `tails` are those of its peak.

    Attributes:
        alpha: the level that p-values are held against, as it was at the peak; None where a surge is not what is told.
        revision: counts what was told of it: 1 its opening, then each update, last its end.
        related: other keys that surge over the same stories.
        evidence: story -> its first telling that stands.
        corrected: ids of items that their sources took back.
        settings: of the run that opened it: with them and its models `verify` recomputes it.
        reason: of the end: "calm", or "retracted" where what it stood on was taken back.
    """

    key: Key
    opened: datetime
    observed: int
    share: float
    tails: Tails
    alpha: float | None
    model: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    kind: Kind = "surge"
    revision: int = 0
    updated: datetime | None = None
    closed: datetime | None = None
    reason: Literal["calm", "retracted"] | None = None
    severity: Severity = "warning"
    related: list[Key] = field(default_factory=list)
    evidence: dict[str, Mention] = field(default_factory=dict)
    corrected: list[str] = field(default_factory=list)
    calm_since: datetime | None = None
    news: bool = True
    """Whether something happened that was not told yet."""

    @property
    def id(self) -> str:
        """The same for the same feed: a replay finds its alerts again."""
        kind = "" if self.kind == "surge" else f"{self.kind}:"
        text = f"{kind}{self.key.type}:{self.key.value}:{self.opened.isoformat()}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def status(self) -> Literal["firing", "resolved"]:
        return "resolved" if self.closed else "firing"

    @property
    def p_value(self) -> float:
        return self.tails.p_value

    @property
    def keys(self) -> tuple[Key, ...]:
        return (self.key, *self.related)

    def see(self, observed: int, share: float, tails: Tails, alpha: float) -> None:
        """The surge as it is now; it is kept if this is its peak."""
        if tails.p_value < self.p_value:
            self.observed, self.share, self.tails, self.alpha = observed, share, tails, alpha
        if self.kind == "surge" and self.severity != "critical" and times_usual(observed, tails.expected) >= CRITICAL:
            self.severity = "critical"
            self.news = True

    def gather(self, mentions: list[Mention]) -> None:
        """More stories of the surge, and those known as they are told by now."""
        for mention in mentions:
            if mention.story in self.evidence or len(self.evidence) < KEPT:
                self.evidence[mention.story] = mention

    def join(self, other: str, story: str) -> None:
        """Two stories of the evidence turn out to be one."""
        if mention := self.evidence.pop(other, None):
            self.evidence.setdefault(story, mention)

    def correct(self, withdrawn: Withdrawn) -> None:
        """A telling was taken back: another one stands for the story, or none."""
        mention = self.evidence.get(withdrawn.story)
        if mention is None or mention.item_id != withdrawn.item_id:
            return
        if withdrawn.instead:
            self.evidence[withdrawn.story] = withdrawn.instead
        else:
            del self.evidence[withdrawn.story]
        self.corrected.append(withdrawn.item_id)
        self.news = True

    def tell(self, now: datetime) -> None:
        """This alert, as it is now, is the next revision."""
        self.revision += 1
        self.updated = now
        self.news = False

    def as_dict(self) -> dict[str, Any]:
        """The alert as one JSON object; times RFC 3339 in UTC."""
        return {
            "id": self.id,
            "kind": self.kind,
            "key": _key(self.key),
            "status": self.status,
            "revision": self.revision,
            "opened": rfc3339(self.opened),
            "updated": rfc3339(self.updated) if self.updated else None,
            "closed": rfc3339(self.closed) if self.closed else None,
            "window_minutes": int(WINDOW / timedelta(minutes=1)),
            "severity": self.severity,
            "observed": self.observed,
            "expected": round(self.tails.expected, 4),
            "ratio": round(self.observed / self.tails.expected, 2),
            "share": round(self.share, 4),
            "usual_share": round(self.tails.usual_share, 4),
            "p_value": self.p_value,
            "p_count": self.tails.p_count,
            "p_share": self.tails.p_share,
            "alpha": self.alpha,
            "related": [_key(key) for key in self.related],
            "evidence": [
                _evidence(mention) for mention in sorted(self.evidence.values(), key=lambda one: -one.outlets)
            ],
            "corrected": list(self.corrected),
            "reason": self.reason,
            "model": self.model,
            "settings": self.settings,
        }


def times_usual(observed: int, expected: float) -> float:
    """How many times the usual the rate is at least, with 95% confidence (Garwood 1936)."""
    return float(chi2.ppf(0.05, 2 * observed) / 2 / expected) if observed else 0.0


def _key(key: Key) -> dict[str, str]:
    return {"type": key.type, "value": key.value}


def _evidence(mention: Mention) -> dict[str, Any]:
    """A story by its first telling; as_dict puts first what most outlets tell."""
    found = {"id": mention.item_id, "title": mention.title, "source": mention.source, "outlets": mention.outlets}
    return found | ({"url": mention.url} if mention.url else {})
