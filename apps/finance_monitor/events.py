"""Events: what happens, told as it is committed, as Server-Sent Events (html.spec.whatwg.org, 9.2).

A `change` carries the change of an alert, and its number as the event's id: a reader that was cut off names the last
one it has and goes on behind it. `step` and `silences` say that the counts or the silences are others now.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from apps.finance_monitor import changelog, charts
from apps.finance_monitor.changelog import Told
from apps.finance_monitor.silences import Silence, Silences
from engine.db import Database
from engine.service import Caller, Problem, allow

POLL_SECONDS = 0.5
ALIVE_SECONDS = 15.0
"""After so long without an event a comment is sent, so that what lies between does not hang up."""
READERS = 64
"""Streams open at a time; each asks the database at each poll."""
AT_ONCE = 100


def routes(database: Database, ended: Callable[[], bool]) -> APIRouter:
    """The stream's route.

    Args:
        ended: whether the server is about to stop.
    """
    made = APIRouter(prefix="/v1", tags=["events"])
    readers = 0

    @made.get("/events", response_class=StreamingResponse)
    async def events(
        caller: Annotated[Caller, allow("server", "agent")],
        last_event_id: Annotated[int | None, Header(ge=0, lt=2**31)] = None,
    ) -> StreamingResponse:
        """Changes of alerts as they are committed, from now on or behind `Last-Event-ID`."""
        if readers >= READERS:
            raise Problem(503, "too many streams are open; close a page", {"Retry-After": "30"})
        return StreamingResponse(
            stream(last_event_id), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def stream(number: int | None) -> AsyncIterator[str]:
        nonlocal readers
        readers += 1
        try:
            before, silent = None, 0.0
            yield ": here\n\n"
            while not ended():
                now = await run_in_threadpool(_look, database, number)
                for told in now.changes:
                    yield _event("change", told.as_dict(), told.number)
                if before and now.step != before.step:
                    yield _event("step", {})
                if before and now.silences != before.silences:
                    yield _event("silences", {})
                silent = 0.0 if now != before else silent + POLL_SECONDS
                if silent >= ALIVE_SECONDS:
                    silent = 0.0
                    yield ": still here\n\n"
                before, number = now, now.number
                if len(now.changes) < AT_ONCE:
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            readers -= 1

    return made


@dataclass(frozen=True)
class _Look:
    """What the database held at a moment."""

    number: int
    """Of the last change that was read."""
    changes: tuple[Told, ...]
    step: datetime | None
    silences: tuple[Silence, ...]


def _look(database: Database, number: int | None) -> _Look:
    """The changes behind that number, or, where there is none, what comes from now on."""
    with database.read() as connection:
        start = changelog.last(connection) if number is None else number
        changes = tuple(changelog.after(connection, start, AT_ONCE))
        end = changes[-1].number if changes else start
        return _Look(end, changes, charts.newest(connection), tuple(Silences(connection).all()))


def _event(name: str, data: dict[str, Any], number: int | None = None) -> str:
    id = "" if number is None else f"id: {number}\n"
    return f"{id}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
