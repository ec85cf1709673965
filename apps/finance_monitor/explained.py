"""Explained: why an alert of the state fired, one alert at a time, as `finance-monitor explain --state` tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path

from apps.finance_monitor import changelog, journal
from apps.finance_monitor.given import Given
from engine.db import Database
from engine.errors import KeelError
from engine.service import Caller, Problem, Queue, allow

if TYPE_CHECKING:
    from apps.finance_monitor.reasons import Reasons

AGAIN_S = 3
Desk = Annotated[Caller, allow("server", "agent")]


class Explained:
    """All news of the state is read again for an alert, so one is explained at a time.

    Args:
        queue: of two threads at least, or pushed news waits meanwhile.
    """

    def __init__(self, database: Database, queue: Queue) -> None:
        self._database, self._queue = database, queue
        self._turn = asyncio.Lock()

    async def reasons(self, id: str) -> tuple[Mapping[str, Any], Reasons]:
        """The alert as it was last told, and why it fired.

        Raises:
            Problem: 404: there is none; 409: its model or watch list is not there as it was; 410: the state no longer
                holds its first news; 503: another is being explained, ask again after `AGAIN_S` seconds.
        """
        if self._turn.locked():
            again = {"Retry-After": str(AGAIN_S)}
            raise Problem(503, "another alert is being explained; ask again in some seconds", again)
        async with self._turn:
            return await self._queue.run(lambda: self._reasons(id))

    def _reasons(self, id: str) -> tuple[Mapping[str, Any], Reasons]:
        from apps.finance_monitor.reasons import reasons

        with self._database.read() as connection:
            found = changelog.of(connection, id)
            items = journal.recorded(connection) if found else []
        if not found:
            raise Problem(404, f"no alert {id}")
        if items is None:
            raise Problem(
                410,
                "the state no longer holds the first news that it read, and what came later hangs on it; whoever has "
                "the feed may use: finance-monitor verify",
            )
        told = found[-1].alert
        try:
            return told, reasons(told, Given().beside(told, state=True), items)
        except KeelError as fault:
            raise Problem(409, str(fault)) from None


def routes(explained: Explained) -> APIRouter:
    router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

    @router.get("/{id}/explanation")
    async def explanation(caller: Desk, id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]) -> dict[str, Any]:
        """Why an alert fired: its decisive stories, and the words that made its worst headlines negative.

        All news of the state is read again for it, so one alert is explained at a time; others come again (503).
        409: the alert's model or watch list is not there as it was; 410: the state no longer holds its first news.
        """
        told, reasons = await explained.reasons(id)
        return reasons.document(told)

    return router
