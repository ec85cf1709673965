"""News: finance-monitor under /news."""

from __future__ import annotations

import os
import threading

from apps.console.names import App
from apps.console.parts.part import TENANT, Part, Settings, Told
from apps.finance_monitor import changelog, run, tables, watchfile
from apps.finance_monitor.api import application
from apps.finance_monitor.explained import Explained
from apps.finance_monitor.feeds.pushed import Pushed
from apps.finance_monitor.follower import Follower
from apps.finance_monitor.inbox import Inbox
from apps.finance_monitor.learn import NEWS
from apps.finance_monitor.newer import Newer
from apps.finance_monitor.signed import ITEMS_SECRET
from apps.finance_monitor.sinks.webhook import secret
from engine import Progress, Store
from engine.errors import InputError, KeelError
from engine.service import Queue


class News(Part):
    """What is pushed is kept from the start, and read once the models are there.

    Attributes:
        meter: how far the monitor is.
        explained: why alerts fired.
    """

    name, path, tenant = App.FINANCE_MONITOR, "/news", TENANT

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.database = settings.database
        self.database.migrate(tables.NAME, tables.MIGRATIONS)
        self._settings = settings
        self._desk = settings.desk
        self._feeds = self._desk.sources()
        if listed := self._desk.monitor.get("watch_list"):
            watchfile.read(listed)  # a fault in it is told now, not once the models are there
        self._queue = Queue(2)  # what is pushed, and an alert that is explained
        self._inbox = Inbox(self.database, mapping=self._desk.pushed)
        self.app, self.meter = application(
            self.database,
            self._inbox,
            queue=self._queue,
            sinks=self._desk.sinks,
            secret=secret(os.environ.get(ITEMS_SECRET), ITEMS_SECRET),
            tenant=self.tenant,
            per_minute=settings.per_minute,
            ended=settings.ended,
        )
        self.explained: Explained = self.app.state.explained
        self._follower: Follower | None = None
        self._newer: Newer | None = None

    def firing(self) -> int:
        """Alerts that fire."""
        with self.database.read() as connection:
            return sum(1 for _ in changelog.latest(connection, "firing"))

    def load(self) -> None:
        if not Store().has(NEWS):
            raise InputError("there is no news model yet; run: finance-monitor train")
        with Told(self) as progress:
            models = run.models(progress, cascade=self._desk.cascade, spare=True)
        self._newer = Newer(models, lambda: run.models(Progress(quiet=True), cascade=self._desk.cascade, spare=True))
        feeds = [*self._feeds, Pushed(self._inbox)]
        if self._ending.is_set():
            return
        self._follower = Follower(
            feeds,
            models,
            stopped=self._stopped,
            state=self._settings.url,
            sinks=self._desk.sinks,
            on_pulse=self.meter.take,
            newer=self._newer.take,
            **self._desk.monitor,
        )
        self._follower.start()
        threading.Thread(target=self._newer.watch, name="newer", daemon=True).start()

    def close(self) -> None:
        super().close()
        if self._newer:
            self._newer.close()
        if self._follower:
            self._follower.end()
        self._queue.close()

    def _stopped(self) -> None:
        fault = self._follower.fault if self._follower else None
        if not self._settings.ended():
            self.failed(fault or KeelError("the monitor has ended"))
