"""Queue: inference beside an event loop: a few threads work, some calls wait, more are told to come again."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from engine.service.problems import Problem

T = TypeVar("T")


class Queue:
    """Runs blocking calls.

    Args:
        workers: threads; by default one a core, since each model call is single-threaded.
        waiting: calls that may wait for a thread.
    """

    def __init__(self, workers: int | None = None, waiting: int = 64) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.places = self.workers + waiting
        self.busy = 0
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="inference")

    async def run(self, call: Callable[[], T]) -> T:
        """The call's result.

        Raises:
            Problem: 503 with Retry-After, when all places are taken.
        """
        with self._place():
            return await self._work(call)

    async def stream(self, items: Iterator[T]) -> AsyncIterator[T]:
        """The items of a blocking iterator, each as it comes, on one place to its end; who stops reading stops it.

        Raises:
            Problem: as `run`, before the first item.
        """
        end = object()
        with self._place():
            try:
                while (item := await self._work(lambda: next(items, end))) is not end:
                    yield item  # type: ignore[misc]
            finally:
                if isinstance(items, Generator):
                    with contextlib.suppress(ValueError):  # a thread is in it still, and will be the last
                        items.close()

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self.busy >= self.places:
            raise Problem(503, "too many questions at once; try again in a second", {"Retry-After": "1"})
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1

    async def _work(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Wait for the calls that run; those that wait are dropped."""
        self._threads.shutdown(cancel_futures=True)
