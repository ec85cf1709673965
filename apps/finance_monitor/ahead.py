"""Ahead: the next of what a generator makes is made while the one before it is used."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def one_ahead(made: Generator[T], until: threading.Event) -> Generator[T]:
    """What `made` makes, in a thread of its own; it is never more than one ahead.

    Args:
        until: ends `made` soon when it is set; it is set here when reading ends, to the last or not.

    Raises:
        Exception: what making raised, after what was made before.
    """
    ready: SimpleQueue[T | BaseException | None] = SimpleQueue()
    wanted, ended = threading.Semaphore(0), threading.Event()

    def make() -> None:
        fault = None
        try:
            with closing(made):
                for one in made:
                    ready.put(one)
                    wanted.acquire()
                    if ended.is_set():
                        break
        except BaseException as raised:  # told where it is used
            fault = raised
        ready.put(fault)

    maker = threading.Thread(target=make, name="ahead", daemon=True)
    maker.start()
    try:
        while (one := ready.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            wanted.release()
            yield one
    finally:
        until.set()
        ended.set()
        wanted.release()
        maker.join(5.0)
