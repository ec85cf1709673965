"""Webhook: Alertmanager's JSON, signed as Standard Webhooks says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

from apps.finance_monitor.sinks.post import known_by, post
from apps.finance_monitor.sinks.sink import Alert, change, headline
from engine.errors import InputError

SECRET = "KEEL_WEBHOOK_SECRET"
"""The variable with the key that webhooks are signed with, as Standard Webhooks writes it: whsec_ and base64."""
_NAMES = {"surge": "NegativeNewsSurge", "volume": "NewsVolume", "drift": "NegativeNewsDrift"}


@dataclass(frozen=True)
class Webhook:
    """Alertmanager's webhook, version 4, signed as Standard Webhooks says (standardwebhooks.com, spec 1.0.0)."""

    url: str
    secret: bytes | None = None

    @property
    def name(self) -> str:
        return f"webhook {known_by(self.url)}"

    def send(self, message: str, alert: Alert) -> None:
        body = json.dumps(alertmanager(alert), ensure_ascii=False).encode()
        now = str(int(time.time()))
        headers = {"content-type": "application/json", "webhook-id": message, "webhook-timestamp": now}
        if self.secret:
            headers["webhook-signature"] = signature(self.secret, message, now, body)
        post(self.url, body, headers)


def alertmanager(alert: Alert) -> dict[str, Any]:
    """A change as Alertmanager would post it (prometheus.io/docs/alerting/latest/configuration, webhook_config)."""
    labels = {
        "alertname": _NAMES[alert["kind"]],
        "severity": alert["severity"],
        "key_type": alert["key"]["type"],
        "key": alert["key"]["value"],
    }
    annotations = {
        "summary": headline(alert),
        "change": change(alert),
        "revision": str(alert["revision"]),
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


def secret(text: str | None, variable: str = SECRET) -> bytes | None:
    """The key that `whsec_...`, the value of a variable, stands for.

    Raises:
        InputError: it is none.
    """
    if not text:
        return None
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise InputError(f"{variable}: no base64; write whsec_ and the key in base64") from None
