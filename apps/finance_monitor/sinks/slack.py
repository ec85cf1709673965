"""Slack: a message as its incoming webhooks take it, and those that imitate them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from apps.finance_monitor.sinks.post import known_by, post
from apps.finance_monitor.sinks.sink import HEADLINES, Alert, headline


@dataclass(frozen=True)
class Slack:
    """An incoming webhook of Slack, or of what reads its messages (Mattermost, Discord's /slack)."""

    url: str

    @property
    def name(self) -> str:
        return f"slack {known_by(self.url)}"

    def send(self, message: str, alert: Alert) -> None:
        headlines = "".join(f"\n\u2022 {one['title']}" for one in alert["evidence"][:HEADLINES])
        text = f"*{headline(alert)}*{headlines}"
        post(self.url, json.dumps({"text": text}, ensure_ascii=False).encode(), {"content-type": "application/json"})
