"""Queue: inference beside an event loop: a few threads work, some calls wait, more are told to come again."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from engine.service.problems import Problem

T = TypeVar("T")
Item = TypeVar("Item")
SHARE = 8
"""Items of one request that a thread does before another request has its turn."""
TAKEN = 4
"""Shares that a thread does before it hands their results back."""


@dataclass
class _Share(Generic[Item, T]):
    """Some items of one request, and who waits for their results."""

    call: Callable[[Item], T]
    items: Sequence[Item]
    context: contextvars.Context
    told: asyncio.Future[list[T]]
    found: list[T] | None = None
    fault: BaseException | None = None

    def do(self) -> None:
        try:
            self.found = self.context.run(lambda: [self.call(item) for item in self.items])
        except BaseException as fault:  # it is the waiting one's
            self.fault = fault

    def settle(self) -> None:
        if self.told.cancelled():
            return
        if self.fault is not None:
            self.told.set_exception(self.fault)
        else:
            self.told.set_result(self.found or [])


def _settle(shares: list[_Share[Any, Any]]) -> None:
    for share in shares:
        share.settle()


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
        self._waiting: deque[_Share[Any, Any]] = deque()
        self._lock, self._draining = threading.Lock(), 0

    async def run(self, call: Callable[[], T]) -> T:
        """The call's result.

        Raises:
            Problem: 503 with Retry-After, when all places are taken.
        """
        with self._place():
            return await self._work(call)

    async def each(self, call: Callable[[Item], T], items: Sequence[Item]) -> list[T]:
        """The call's result for each item, in order, on one place and all threads; others take their turns between.

        Raises:
            Problem: as `run`.
        """
        found: list[list[T]] = [[] for _ in range(0, len(items), SHARE)]
        shares = iter(range(len(found)))

        async def lane() -> None:
            for share in shares:
                found[share] = await self._share(call, items[share * SHARE : (share + 1) * SHARE])

        with self._place():
            if len(found) == 1:
                await lane()
            else:
                lanes = [asyncio.ensure_future(lane()) for _ in range(self.workers)]
                try:
                    await asyncio.gather(*lanes)
                finally:  # after a fault the others stop
                    for one in lanes:
                        one.cancel()
        return [one for share in found for one in share]

    async def _share(self, call: Callable[[Item], T], items: Sequence[Item]) -> list[T]:
        loop = asyncio.get_running_loop()
        share: _Share[Item, T] = _Share(call, items, contextvars.copy_context(), loop.create_future())
        with self._lock:
            self._waiting.append(share)
            idle = self._draining < self.workers
            self._draining += idle
        if idle:
            self._threads.submit(self._drain, loop)
        return await share.told

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do what waits. A thread takes several small shares at a time and hands them back at once: to wake the loop
        for each costs a fifth of a short call."""
        while True:
            with self._lock:
                count = min(TAKEN, math.ceil(len(self._waiting) / self.workers))
                taken = [self._waiting.popleft() for _ in range(count)]
                if not taken:
                    self._draining -= 1
                    return
            for share in taken:
                share.do()
            loop.call_soon_threadsafe(_settle, taken)

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
        return await asyncio.get_running_loop().run_in_executor(self._threads, contextvars.copy_context().run, call)

    def close(self) -> None:
        """Wait for the calls that run; those that wait are dropped."""
        self._threads.shutdown(cancel_futures=True)
