"""Sinks: where changes of alerts are sent, each in the shape that is read there."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from engine.errors import InputError

TIMEOUT = 10.0
"""Seconds that a sink may take to answer."""
SECRET = "KEEL_WEBHOOK_SECRET"
"""The variable with the key that webhooks are signed with, as Standard Webhooks writes it: whsec_ and base64."""
HEADLINES = 5
"""Headlines of evidence in a message."""
Alert = dict[str, Any]
"""As an alert's `as_dict` gives it."""


class Refused(Exception):
    """The sink did not take a message.

    Attributes:
        wait: seconds that it asked to be left alone; 0 where it named none.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


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


@dataclass(frozen=True)
class Webhook:
    """Alertmanager's webhook, version 4, signed as Standard Webhooks says (standardwebhooks.com, spec 1.0.0)."""

    url: str
    secret: bytes | None = None

    @property
    def name(self) -> str:
        return f"webhook {_known_by(self.url)}"

    def send(self, message: str, alert: Alert) -> None:
        body = json.dumps(alertmanager(alert), ensure_ascii=False).encode()
        now = str(int(time.time()))
        headers = {"content-type": "application/json", "webhook-id": message, "webhook-timestamp": now}
        if self.secret:
            headers["webhook-signature"] = signature(self.secret, message, now, body)
        _post(self.url, body, headers)


@dataclass(frozen=True)
class Slack:
    """An incoming webhook of Slack, or of what reads its messages (Mattermost, Discord's /slack)."""

    url: str

    @property
    def name(self) -> str:
        return f"slack {_known_by(self.url)}"

    def send(self, message: str, alert: Alert) -> None:
        headlines = "".join(f"\n\u2022 {one['title']}" for one in alert["evidence"][:HEADLINES])
        text = f"*{headline(alert)}*{headlines}"
        _post(self.url, json.dumps({"text": text}, ensure_ascii=False).encode(), {"content-type": "application/json"})


def configured(webhooks: Sequence[str], slacks: Sequence[str]) -> list[Sink]:
    """The sinks of a command's options.

    Raises:
        InputError: a URL is none, or KEEL_WEBHOOK_SECRET is no key.
    """
    key = secret(os.environ.get(SECRET))
    hooks = [Webhook(checked(url, "--webhook"), key) for url in webhooks]
    return [*hooks, *(Slack(checked(url, "--slack")) for url in slacks)]


def headline(alert: Alert) -> str:
    """One line for people."""
    what = f"{alert['key']['type']} {alert['key']['value']}"
    if alert["status"] == "resolved":
        return f"Over: negative news on {what} since {alert['opened']}, ended {alert['closed']}"
    return (
        f"{alert['severity'].capitalize()}: {alert['observed']} negative stories on {what} in "
        f"{alert['window_minutes']} minutes, {alert['expected']:.1f} expected"
    )


def alertmanager(alert: Alert) -> dict[str, Any]:
    """A change as Alertmanager would post it (prometheus.io/docs/alerting/latest/configuration, webhook_config)."""
    labels = {
        "alertname": "NegativeNewsSurge",
        "severity": alert["severity"],
        "key_type": alert["key"]["type"],
        "key": alert["key"]["value"],
    }
    annotations = {
        "summary": headline(alert),
        "evidence": json.dumps(alert["evidence"], ensure_ascii=False),
        "p_value": str(alert["p_value"]),
        "model": json.dumps(alert["model"], ensure_ascii=False),
    }
    return {
        "version": "4",
        "groupKey": alert["id"],
        "truncatedAlerts": 0,
        "status": alert["status"],
        "receiver": "keel",
        "groupLabels": {"alertname": labels["alertname"]},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [
            {
                "status": alert["status"],
                "labels": labels,
                "annotations": annotations,
                "startsAt": alert["opened"],
                "endsAt": alert["closed"] or "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": alert["id"],
            }
        ],
    }


def signature(secret: bytes, message: str, timestamp: str, body: bytes) -> str:
    """Of a webhook: HMAC-SHA256 over id, time and body."""
    signed = hmac.new(secret, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def secret(text: str | None) -> bytes | None:
    """The key that `whsec_...` stands for.

    Raises:
        InputError: it is none.
    """
    if not text:
        return None
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise InputError(f"{SECRET}: no base64; write whsec_ and the key in base64") from None


def checked(url: str, option: str) -> str:
    """The URL of a sink.

    Raises:
        InputError: it is none that can be posted to.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as fault:
        raise InputError(f"{option} {url}: no URL ({fault})") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InputError(f"{option} {url}: give an http or https URL")
    return url


def _known_by(url: str) -> str:
    """Host and hash: the path of such a URL often is a secret."""
    return f"{httpx.URL(url).host} {hashlib.sha256(url.encode()).hexdigest()[:12]}"


def _post(url: str, body: bytes, headers: dict[str, str]) -> None:
    try:
        answer = httpx.post(url, content=body, headers=headers, timeout=TIMEOUT)
    except httpx.HTTPError as fault:
        raise Refused(f"{type(fault).__name__}: {fault}") from None
    if not answer.is_success:
        wait = answer.headers.get("retry-after", "")
        raise Refused(f"answered {answer.status_code}", float(wait) if wait.isdecimal() else 0.0)
