"""Support: support-bot under /support."""

from __future__ import annotations

import threading

from apps.console.names import App
from apps.console.parts.part import TENANT, Part, Settings
from apps.customer_service import api, tables
from apps.customer_service.bot import ready
from apps.customer_service.finder import LAG_S
from apps.customer_service.writer import configured
from engine.errors import InputError
from engine.service import Problem, Queue

ERROR_RATE = 0.05


class Support(Part):
    """
    Attributes:
        desks: the bot and the conversations of each tenant.
    """

    name, path = App.CUSTOMER_SERVICE, "/support"

    def __init__(self, settings: Settings, queue: Queue) -> None:
        super().__init__()
        database, writer = settings.database, configured(None)
        database.migrate(tables.NAME, tables.MIGRATIONS)
        self.queue = queue
        self.app, self.desks = api.application(
            database,
            lambda tenant: ready(database, tenant, ERROR_RATE, writer, settings.watch, lag_s=LAG_S),
            per_minute=settings.per_minute,
            queue=queue,
        )
        self._current = threading.Thread(target=self.desks.keep_current, name="current")

    def load(self) -> None:
        try:
            self.desks.bot(TENANT).warm()
        except Problem as fault:
            raise InputError(fault.detail) from None

    def start(self) -> None:
        super().start()
        self._current.start()

    def close(self) -> None:
        super().close()
        self.desks.close()
        self._current.join()
