"""Logs: one JSON object a line on stderr, one for each request, and whatever else a service has to say.

{"time": "...", "level": "info", "event": "request", "id": "9f...", "method": "POST", "route": "/v1/predict/{model}",
 "status": 200, "ms": 6.1, "caller": "shop", "tenant": "default", "model": "finance-news@3"}

Routes and not paths, and no query: both may hold what is personal or secret. Texts only with `KEEL_LOG_TEXTS=1`, and
then with personal data masked.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

TEXTS = "KEEL_LOG_TEXTS"
LATE_S = 0.1
"""By which a line may come late: those of that time are written at once, as each writing makes a server's threads wait
for one another. From warnings on a line comes without delay; one of a killed process may be lost."""
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
    """Write the line of a request, where `configure` has been."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Gathered):  # without a record of logging's: that costs more than all the rest
            now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            line = {"time": now, "level": "info", "event": "request", **fields}
            handler.add(json.dumps(line, ensure_ascii=False, default=str))


def flush() -> None:
    """Write what waits."""
    for handler in logging.getLogger().handlers:
        handler.flush()


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
    handler = _Gathered(stream or sys.stderr)
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


class _Gathered(logging.StreamHandler[TextIO]):
    """Writes its lines together.

    Under logging's own lock of the handler, which it holds as it hands a record over: with a second lock, a record and
    a writing would wait for each other.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        with self._locked():
            self._lines.append(line)
            first = len(self._lines) == 1
        if first:
            later = threading.Timer(LATE_S, self.flush)
            later.daemon = True  # at the end of a process logging flushes by itself
            later.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.add(self.format(record))
            if record.levelno >= logging.WARNING:
                self.flush()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        with self._locked():
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("".join(f"{line}{self.terminator}" for line in lines))
            super().flush()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()


def _ordered(_: Any, __: str, event: Mapping[str, Any]) -> dict[str, Any]:
    first = {key: event[key] for key in ("time", "level", "event") if key in event}
    return {**first, **event}


def _masked(texts: Any) -> Any:
    from engine.text.pii import mask

    return mask(texts)[0] if isinstance(texts, str) else [_masked(one) for one in texts]
