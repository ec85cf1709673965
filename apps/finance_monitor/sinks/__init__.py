"""Sinks: where changes of alerts are sent, each in the shape that is read there, one file a kind."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta

from apps.finance_monitor.sinks.escalation import Escalation
from apps.finance_monitor.sinks.post import checked
from apps.finance_monitor.sinks.sink import Refused as Refused
from apps.finance_monitor.sinks.sink import Sink as Sink
from apps.finance_monitor.sinks.slack import Slack as Slack
from apps.finance_monitor.sinks.smtp import PASSWORD, Mailbox, mailboxes
from apps.finance_monitor.sinks.webhook import SECRET, secret
from apps.finance_monitor.sinks.webhook import Webhook as Webhook


def configured(
    webhooks: Sequence[str] = (),
    slacks: Sequence[str] = (),
    smtp: Sequence[str] = (),
    escalate_to: Sequence[str] = (),
    escalate_after: float = 30.0,
) -> list[Sink]:
    """The sinks of a command's options.

    Args:
        escalate_after: minutes.

    Raises:
        InputError: a URL is none, or KEEL_WEBHOOK_SECRET is no key.
    """
    key = secret(os.environ.get(SECRET))

    def hook(url: str, option: str) -> Webhook:
        return Webhook(checked(url, option), key)

    def mail(url: str, option: str) -> list[Mailbox]:
        return mailboxes(url, option, os.environ.get(PASSWORD))

    found: list[Sink] = [hook(url, "--webhook") for url in webhooks]
    found += [Slack(checked(url, "--slack")) for url in slacks]
    found += [box for url in smtp for box in mail(url, "--smtp")]
    for url in escalate_to:
        higher = mail(url, "--escalate-to") if url.startswith("smtp") else [hook(url, "--escalate-to")]
        found += [Escalation(sink, timedelta(minutes=escalate_after)) for sink in higher]
    return found
