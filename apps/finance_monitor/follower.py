"""Follower: the monitor in a thread of its own, beside a server that tells what it finds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from apps.finance_monitor.feeds.source import Source
from apps.finance_monitor.run import Models, monitor


class Follower:
    """Follows feeds until it is ended, or fails.

    Args:
        options: as `monitor` takes them.
        stopped: called in its thread once it follows no more, for whatever reason.

    Attributes:
        fault: what it failed with.
    """

    def __init__(
        self, feeds: Sequence[Source], models: Models, *, stopped: Callable[[], object], **options: Any
    ) -> None:
        self.fault: BaseException | None = None
        self._ending = threading.Event()

        def work() -> None:
            try:
                monitor(feeds, models, follow=True, until=self._ending, **options)
            except BaseException as fault:  # whatever it is: nobody must take a page without a monitor for calm news
                self.fault = fault
            finally:
                stopped()

        self._thread = threading.Thread(target=work, name="monitor")

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop after the chunk that is being read, and wait for it."""
        self._ending.set()
        self._thread.join()
