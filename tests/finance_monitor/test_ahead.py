"""One ahead: what is made next is made meanwhile, and no more than that; nothing is left running."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator

import pytest

from apps.finance_monitor.ahead import one_ahead
from engine.errors import InputError


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_the_next_one_is_made_while_one_is_used_and_no_other() -> None:
    made: list[int] = []

    def numbers() -> Generator[int]:
        for number in range(6):
            made.append(number)
            yield number

    found = []
    for number in one_ahead(numbers(), threading.Event()):
        until(lambda seen=number: len(made) >= min(seen + 2, 6))
        assert len(made) <= number + 2
        found.append(number)
    assert found == list(range(6))


def test_a_fault_comes_after_what_was_made_before() -> None:
    def broken() -> Generator[int]:
        yield 1
        raise InputError("the feed broke")

    reading = one_ahead(broken(), threading.Event())
    assert next(reading) == 1
    with pytest.raises(InputError, match="the feed broke"):
        next(reading)


def test_who_stops_reading_stops_the_making() -> None:
    closed, ending = threading.Event(), threading.Event()

    def endless() -> Generator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    reading = one_ahead(endless(), ending)
    assert next(reading) == 1
    reading.close()
    assert closed.is_set()
    assert ending.is_set()
    assert "ahead" not in {one.name for one in threading.enumerate()}


def test_what_ends_badly_is_told_and_nobody_waits_for_ever() -> None:
    def reluctant() -> Generator[int]:
        try:
            yield 1
        finally:
            raise InputError("the feed does not close")

    reading = one_ahead(reluctant(), threading.Event())
    assert next(reading) == 1
    with pytest.raises(InputError, match="does not close"):
        list(reading)
