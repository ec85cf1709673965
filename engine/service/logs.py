"""Logs: one JSON object a line on stderr, one for each request, and whatever else a service has to say.

{"time": "...", "level": "info", "event": "request", "id": "9f...", "method": "POST", "route": "/v1/predict/{model}",
 "status": 200, "ms": 6.1, "caller": "shop", "tenant": "default", "model": "finance-news@3"}

Routes and not paths, and no query: both may hold what is personal or secret. Texts only with `KEEL_LOG_TEXTS=1`, and
then with personal data masked.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, TextIO

REQUESTS = logging.getLogger("keel.requests")
TEXTS = "KEEL_LOG_TEXTS"
_NOTES: ContextVar[dict[str, Any] | None] = ContextVar("notes", default=None)


def begin() -> dict[str, Any]:
    """What is noted of the request from here on."""
    notes: dict[str, Any] = {}
    _NOTES.set(notes)
    return notes


def note(*, texts: Any = None, **what: Any) -> None:
    """Add to the line of the request that is being answered; texts only where they are wished for."""
    notes = _NOTES.get()
    if notes is None:
        return
    notes |= what
    if texts is not None and os.environ.get(TEXTS) == "1":
        notes["texts"] = _masked(texts)


def told(**fields: Any) -> None:
    """Write the line of a request."""
    if REQUESTS.isEnabledFor(logging.INFO):
        REQUESTS.info("request", extra=fields)


def configure(stream: TextIO | None = None) -> None:
    """Write what every logger of this process says so, from warnings on; Keel's own also for information."""
    import structlog

    processors: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", key="time"),
        # Without the variables of its frames, which hold texts and keys.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
        _ordered,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("keel").setLevel(logging.INFO)


def _ordered(_: Any, __: str, event: Mapping[str, Any]) -> dict[str, Any]:
    first = {key: event[key] for key in ("time", "level", "event") if key in event}
    return {**first, **event}


def _masked(texts: Any) -> Any:
    from engine.text.pii import mask

    return mask(texts)[0] if isinstance(texts, str) else [_masked(one) for one in texts]
