"""Explained: why an alert fired, over HTTP, as `finance-monitor explain --state` tells it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from apps.finance_monitor import changelog, journal
from apps.finance_monitor.given import Given
from engine.db import Database
from engine.errors import KeelError
from engine.service import Caller, Problem, Queue, allow

AGAIN_S = 3
Desk = Annotated[Caller, allow("server", "agent")]


def routes(database: Database) -> APIRouter:
    router = APIRouter(prefix="/v1/alerts", tags=["alerts"])
    turn = asyncio.Lock()

    @router.get("/{id}/explanation")
    async def explanation(
        caller: Desk, id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")], request: Request
    ) -> dict[str, Any]:
        """Why an alert fired: its decisive stories, and the words that made its worst headlines negative.

        All news of the state is read again for it, so one alert is explained at a time; others come again (503).
        409: the alert's model or watch list is not there as it was; 410: the state no longer holds its first news.
        """
        if turn.locked():
            again = {"Retry-After": str(AGAIN_S)}
            raise Problem(503, "another alert is being explained; ask again in some seconds", again)
        queue: Queue = request.app.state.service.queue
        async with turn:
            return await queue.run(lambda: _explained(database, id))

    return router


def _explained(database: Database, id: str) -> dict[str, Any]:
    from apps.finance_monitor.reasons import reasons

    with database.read() as connection:
        found = changelog.of(connection, id)
        items = journal.recorded(connection) if found else []
    if not found:
        raise Problem(404, f"no alert {id}")
    if items is None:
        raise Problem(
            410,
            "the state no longer holds the first news that it read, and what came later hangs on it; whoever has the "
            "feed may use: finance-monitor verify",
        )
    told = found[-1].alert
    try:
        return reasons(told, Given().beside(told, state=True), items).document(told)
    except KeelError as fault:
        raise Problem(409, str(fault)) from None
