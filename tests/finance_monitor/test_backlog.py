"""The backlog: reading runs ahead up to a bound, overload is seen and passes, and nothing is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from apps.finance_monitor.backlog import Backlog
from apps.finance_monitor.cascade import Cascade
from apps.finance_monitor.feeds.source import Entry, Start
from apps.finance_monitor.items import parse
from apps.finance_monitor.linear import Linear
from apps.finance_monitor.pulse import Pulse
from apps.finance_monitor.run import Models, monitor
from engine import Prediction
from tests.finance_monitor.test_alarms import START
from tests.finance_monitor.test_cascade import Teacher, stand_in  # noqa: F401
from tests.finance_monitor.words import Words

SECONDS = 20.0


def entry(number: int) -> Entry:
    published = (START + timedelta(minutes=number)).isoformat()
    values = {"id": f"{number:04}", "published": published, "title": f"Profit at firm {number} was unchanged again"}
    return Entry(parse(json.dumps(values).encode()), "f", str(number))


def test_overload_begins_above_the_bound_and_ends_at_half_of_it() -> None:
    read = threading.Event()

    def chunks() -> Generator[list[Entry]]:
        yield [entry(0)]
        for number in range(1, 30):
            yield [entry(number)]
        read.set()

    backlog = Backlog(chunks(), threading.Event(), most=15)
    taking = backlog.chunks(4)
    entries = list(next(taking))
    assert read.wait(SECONDS)
    seen = {}
    for chunk in taking:
        entries += chunk
        seen[30 - len(entries)] = backlog.overloaded
    assert [one.after for one in entries] == [str(number) for number in range(30)]
    assert all(over for left, over in seen.items() if left > 15)
    assert all(over for left, over in seen.items() if 7 < left <= 15)
    assert not any(over for left, over in seen.items() if left <= 7)
    assert any(seen.values())


def test_no_more_than_twice_the_bound_is_held_and_the_source_keeps_the_rest() -> None:
    given: list[int] = []
    until = threading.Event()

    def chunks() -> Generator[list[Entry]]:
        for number in range(1000):
            given.append(number)
            yield [entry(number)]

    backlog = Backlog(chunks(), until, most=5)
    taking = backlog.chunks(3)
    taken = 0
    for chunk in taking:
        taken += len(chunk)
        assert len(given) <= taken + 2 * 5 + 1
        if taken > 100:
            break
    taking.close()
    assert until.is_set()
    assert len(given) < 200


def test_what_reading_raises_is_told_after_what_was_read() -> None:
    def chunks() -> Generator[list[Entry]]:
        yield [entry(0), entry(1)]
        raise OSError("the feed is gone")

    taking = Backlog(chunks(), threading.Event(), most=5).chunks(1)
    assert [one.after for one in (*next(taking), *next(taking))] == ["0", "1"]
    with pytest.raises(OSError, match="the feed is gone"):
        next(taking)


class Burst:
    """64 items, and when those are being labelled, 192 more at once."""

    name = "burst"

    def __init__(self) -> None:
        self.asked, self.read = threading.Event(), threading.Event()

    def entries(self, start: Start | None) -> Iterator[Entry | None]:
        for number in range(64):
            yield entry(number)
        assert self.asked.wait(SECONDS)
        for number in range(64, 256):
            yield entry(number)
        yield None
        self.read.set()

    def committed(self, chunk: Sequence[Entry]) -> None: ...

    def close(self) -> None: ...


def test_a_burst_goes_to_the_cheap_model_until_half_of_the_bound_is_left(
    stand_in: Linear,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    burst = Burst()

    class Slow(Teacher):
        def predict(self, texts: Sequence[str]) -> list[Prediction]:
            burst.asked.set()
            assert burst.read.wait(SECONDS)
            return super().predict(texts)

    cascade = Cascade(cast(Any, Slow()), stand_in, spare=True)
    models = Models([cascade], cast(Any, Words()))
    pulses: list[Pulse] = []
    watched: dict[str, Any] = {"follow": True, "lateness": timedelta(0), "on_pulse": pulses.append}
    tally = monitor([burst], models, backlog=100, **watched).tally
    # 128 wait behind the second chunk, 64 behind the third, none behind the last.
    assert tally.routes == {"model": 128, "overload": 128}
    assert tally.items == 256
    assert pulses[-1].routes == {"model": 127, "overload": 128}  # the last item waits for those that come late
    assert [record.message for record in caplog.records] == [
        "overload: 128 items wait; the cheap model answers them all until half of that do",
        "overload: 0 items wait; the champion answers again",
    ]
