"""Posting over HTTP, as webhooks and Slack take it."""

from __future__ import annotations

import hashlib

import httpx

from apps.finance_monitor.sinks.sink import TIMEOUT, Refused
from engine.errors import InputError


def post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """Send once.

    Raises:
        Refused: it was not taken, whatever the reason.
    """
    try:
        answer = httpx.post(url, content=body, headers=headers, timeout=TIMEOUT)
    except httpx.HTTPError as fault:
        raise Refused(f"{type(fault).__name__}: {fault}") from None
    if not answer.is_success:
        wait = answer.headers.get("retry-after", "")
        raise Refused(f"answered {answer.status_code}", float(wait) if wait.isdecimal() else 0.0)


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


def known_by(url: str) -> str:
    """Host and hash: the path of such a URL often is a secret."""
    return f"{httpx.URL(url).host} {hashlib.sha256(url.encode()).hexdigest()[:12]}"
