"""House: the suite in one process, on one database.

/support /news /recommend      the applications' own APIs and pages, as their own commands serve them; a session at the
                               console opens them like its key
/v1/predict/{model}            any stored model
/                              the console, for whoever has a session
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi.responses import RedirectResponse, Response

from apps.console import login
from apps.console.entry import Entry
from apps.console.names import App
from apps.console.parts.part import Part, Settings
from apps.console.session import Sessions, secret
from apps.finance_monitor.desk import Desk
from engine import Store, Watch
from engine.db import Database
from engine.service import Champions, Keys, Queue, Readiness, create, page, predict

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from fastapi import FastAPI

P = TypeVar("P", bound=Part)


class House:
    """
    Args:
        url: the database that everything is kept in.
        apps: which applications there are; all by default.
        desk: what the monitor is told.
        ended: whether the server is about to stop.

    Attributes:
        app: all of it.
        parts: the applications, as they were asked for.
    """

    def __init__(
        self,
        url: str,
        *,
        apps: Sequence[App] = tuple(App),
        desk: Desk | None = None,
        per_minute: int = 600,
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        from engine import __version__
        from engine.service import keys

        self.store = Store()
        self.database = Database.open(url, name="service", migrations=keys.MIGRATIONS)
        self.keys = Keys(self.database)
        self.queue = Queue()
        self.champions, self.watch = Champions(self.store), Watch(self.database)
        settings = Settings(self.database, url, self.watch, per_minute, desk or Desk(), ended)
        self.parts = [_part(name, settings, self.queue) for name in dict.fromkeys(apps)]
        self.app = create(
            "keel",
            self.keys,
            queue=self.queue,
            per_minute=per_minute,
            version=__version__,
            local=True,
            ready=self._readiness,
        )
        predict.add(self.app, self.champions, self.queue, self.watch)
        self.sessions = Sessions(self.keys, secret(self.home))
        for part in self.parts:
            self.app.add_api_route(part.path, _to(f"{part.path}/"), include_in_schema=False)
            self.app.mount(part.path, Entry(part.app, self.sessions))
        self.app.include_router(login.routes(self.sessions))
        self.app.include_router(page("apps.console"))
        self._within, self.app.router.lifespan_context = self.app.router.lifespan_context, self._lived

    @property
    def home(self) -> Path:
        return self.store.root.parent

    def part(self, kind: type[P]) -> P | None:
        """The part of that kind, if it was asked for."""
        return next((one for one in self.parts if isinstance(one, kind)), None)

    @asynccontextmanager
    async def _lived(self, app: FastAPI) -> AsyncIterator[Any]:
        """The parts are started with the server and not before: as it starts, the console's framework looks at every
        object of the process, which breaks what other threads are making just then."""
        async with self._within(app) as state:
            self.champions.start()
            for part in self.parts:
                part.start()
            try:
                yield state
            finally:
                await asyncio.to_thread(self._close)

    def _close(self) -> None:
        """Let all threads end, each after what it is at."""
        for part in self.parts:
            part.close()
        self.champions.close()
        self.queue.close()
        self.watch.close()
        self.database.close()

    def _readiness(self) -> Readiness:
        """Ready once nothing loads any more: what is missing must not keep the rest from answering, nor the first
        `train` of a container from being run in it."""
        states = {str(part.name): part.state for part in self.parts}
        return Readiness(not {"loading", "failed"} & set(states.values()), states)


def _part(name: App, settings: Settings, queue: Queue) -> Part:
    """Imports only what was asked for."""
    if name is App.CUSTOMER_SERVICE:
        from apps.console.parts.support import Support

        return Support(settings, queue)
    if name is App.FINANCE_MONITOR:
        from apps.console.parts.news import News

        return News(settings)
    from apps.console.parts.ranking import Ranking

    return Ranking(settings, queue)


def _to(path: str) -> Callable[[], Awaitable[Response]]:
    async def elsewhere() -> Response:
        return RedirectResponse(path)

    return elsewhere
