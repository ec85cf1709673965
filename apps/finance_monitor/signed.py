"""Signed: pushed news that whoever sent it has signed, as Standard Webhooks says (standardwebhooks.com, spec 1.0.0)."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping

from apps.finance_monitor.sinks.webhook import signature
from engine.service import Problem

ITEMS_SECRET = "KEEL_ITEMS_SECRET"
"""The variable with the key that pushed news must be signed with."""
TOLERANCE_S = 300
"""By which a message may be older, or newer, than our clock; so long its id is remembered."""


class Signed:
    """Messages of one secret, each taken once; for one event loop."""

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._clock = secret, clock
        self._seen: dict[str, float] = {}

    def check(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises: Problem: 401, the message is not signed with the secret, or too old; 409, it was taken before."""
        now = self._clock()
        message, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        expected = signature(self._secret, message, stamp, body).encode()
        given = headers.get("webhook-signature", "").split()
        if not message or not any(hmac.compare_digest(one.encode(), expected) for one in given):
            raise Problem(401, "sign the body with our secret: webhook-id, webhook-timestamp, webhook-signature")
        if not stamp.isdigit() or abs(int(stamp) - now) > TOLERANCE_S:
            raise Problem(401, f"webhook-timestamp is more than {TOLERANCE_S} seconds from our clock")
        self._seen = {one: until for one, until in self._seen.items() if until > now}
        if message in self._seen:
            raise Problem(409, "this message was taken before; a new one has a webhook-id of its own")
        self._seen[message] = now + 2 * TOLERANCE_S
