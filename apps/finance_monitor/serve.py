"""Serve: the monitor in a thread, and what it finds over HTTP, in one process."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from apps.finance_monitor import tables
from apps.finance_monitor.api import application
from apps.finance_monitor.backlog import MOST
from apps.finance_monitor.feeds.pushed import Pushed
from apps.finance_monitor.feeds.source import Source
from apps.finance_monitor.follower import Follower
from apps.finance_monitor.inbox import Inbox
from apps.finance_monitor.journal import KEEP_ITEMS
from apps.finance_monitor.mapping import Mapping
from apps.finance_monitor.run import LATENESS, Models
from apps.finance_monitor.sinks import Sink
from engine.service import Queue, listening


class Service:
    """Ends when it is interrupted, and with the fault of its monitor when that fails.

    Args:
        state: as `monitor` takes it.
        feeds: read beside what is pushed.
        mapping: how what is pushed is read; None: in Keel's own shape.
        secret: as `application` takes it.
        newer: as `monitor` takes it.
        tenant: as `application` takes it.
    """

    def __init__(
        self,
        state: str,
        models: Models,
        feeds: Sequence[Source] = (),
        *,
        mapping: Mapping | None = None,
        sinks: Sequence[Sink] = (),
        secret: bytes | None = None,
        tenant: str = "default",
        newer: Callable[[], Models | None] | None = None,
        host: str = "127.0.0.1",
        port: int = 8090,
        per_minute: int = 600,
        watch_list: Path | None = None,
        dead_letters: Path | None = None,
        log: Path | None = None,
        keep_items: timedelta | None = KEEP_ITEMS,
        budget: float = 0.5,
        calendar: str | None = None,
        notices: bool = False,
        lateness: timedelta = LATENESS,
        backlog: int = MOST,
    ) -> None:
        self._database = tables.opened(state)
        self._queue = Queue(2)  # what is pushed, and an alert that is explained
        inbox = Inbox(self._database, mapping=mapping)
        app, meter = application(
            self._database,
            inbox,
            queue=self._queue,
            sinks=sinks,
            secret=secret,
            tenant=tenant,
            per_minute=per_minute,
            ended=lambda: self._server.should_exit,
        )
        self._server = listening(app, host=host, port=port)
        self._follower = Follower(
            [*feeds, Pushed(inbox)],
            models,
            stopped=self.end,
            watch_list=watch_list,
            dead_letters=dead_letters,
            log=log,
            state=state,
            keep_items=keep_items,
            sinks=sinks,
            budget=budget,
            calendar=calendar,
            notices=notices,
            lateness=lateness,
            backlog=backlog,
            on_pulse=meter.take,
            newer=newer,
        )

    def run(self) -> None:
        """Answer until interrupted.

        Raises:
            InputError: another monitor writes the state, or a feed cannot be read.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server raises its signal again at its end
        self._follower.start()
        try:
            with contextlib.suppress(KeyboardInterrupt):
                self._server.run()
        finally:
            self._follower.end()
            self._queue.close()
            self._database.close()
        if self._follower.fault:
            raise self._follower.fault

    def end(self) -> None:
        """Let `run` come to its end, from another thread."""
        self._server.should_exit = True
