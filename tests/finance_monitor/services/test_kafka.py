"""Kafka through its own client, against the broker that librdkafka carries for tests: no broker of Apache's is here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import confluent_kafka
import pytest

from apps.finance_monitor.feeds import kafka, source
from apps.finance_monitor.feeds.kafka import KafkaTopic
from apps.finance_monitor.items import DeadLetter
from engine.errors import InputError
from tests.finance_monitor.test_feed import START, line

QUICK = "&session.timeout.ms=6000&heartbeat.interval.ms=500"
"""This broker holds a member that left until its time is out."""


@pytest.fixture
def producer() -> Iterator[Any]:
    """The broker lives in this client; its topics have four partitions."""
    made = confluent_kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
    yield made
    made.flush()


def address(producer: Any) -> str:
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    return f"kafka://{broker.host}:{broker.port}/news?group=desk"


def add(producer: Any, numbers: range) -> None:
    for number in numbers:
        when = (START + timedelta(minutes=number)).isoformat()
        producer.produce("news", line(number, published=when).encode(), partition=number % 4)
    producer.flush()


def read(url: str, kept: dict[str, str]) -> list[Any]:
    topic = KafkaTopic(url + QUICK)
    found = []
    for chunk in source.chunks([topic], 64, kept.get):
        found += [entry.found for entry in chunk if entry.found]
        kept.update({entry.feed: entry.after for entry in chunk})
        topic.committed(chunk)
    topic.close()
    return found


def test_reading_goes_on_where_the_journal_was_and_partitions_are_merged(
    producer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "POLL_SECONDS", 0.01)
    url = address(producer)
    add(producer, range(400))
    kept: dict[str, str] = {}
    assert [one.id for one in read(url, kept)] == [f"n{number}" for number in range(400)]
    assert sorted(kept.values()) == ["100"] * 4
    before = dict.fromkeys(kept, "0")
    producer.produce("news", b"broken", partition=1)
    producer.produce("news", None, key=b"a", partition=1)
    add(producer, range(400, 408))
    found = read(url, kept)
    (letter,) = [one for one in found if isinstance(one, DeadLetter)]
    assert (letter.file, letter.entry) == (url, "partition 1 offset 100")
    items = [one.id for one in found if not isinstance(one, DeadLetter)]
    assert sorted(items) == [f"n{number}" for number in range(400, 408)]
    assert read(url, before) == []  # the group is ahead of that journal


@pytest.mark.parametrize(("wait", "late"), [(5.0, 1.0), (0.1, 3.0)])
def test_a_partition_that_comes_late_is_waited_for_but_not_for_ever(
    producer: Any, monkeypatch: pytest.MonkeyPatch, wait: float, late: float
) -> None:
    monkeypatch.setattr(source, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(kafka, "IN_FLIGHT", wait)
    add(producer, range(40))
    topic = KafkaTopic(address(producer) + QUICK)
    topic._consumer = Late(topic._consumer, late)
    found = [entry.found.id for chunk in source.chunks([topic], 64) for entry in chunk]
    topic.close()
    assert (found[0] == "n0") == (wait > late)
    assert sorted(found) == sorted(f"n{number}" for number in range(40))


class Late:
    """The consumer, but what it has of partition 0 comes only after a while."""

    def __init__(self, consumer: Any, seconds: float) -> None:
        self._consumer = consumer
        self._seconds = seconds
        self._until: float | None = None
        self._kept: deque[Any] = deque()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def poll(self, wait: float) -> Any:
        if self._until is not None and time.monotonic() > self._until and self._kept:
            return self._kept.popleft()
        message = self._consumer.poll(wait)
        if message is None or message.partition() != 0:
            return message
        self._until = self._until or time.monotonic() + self._seconds
        self._kept.append(message)
        return None


def test_what_is_no_topic_and_who_is_not_there_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "POLL_SECONDS", 0.01)
    for wrong in ("kafka://host/?group=g", "kafka://host/t", "kafka://host/t?group=g&tpic=x"):
        with pytest.raises(InputError, match="write kafka://"):
            KafkaTopic(wrong)
    with pytest.raises(InputError, match=r"no\.such"):
        KafkaTopic("kafka://host/t?group=g&no.such=1")
    with pytest.raises(InputError, match="are broker and topic there"):
        read("kafka://127.0.0.1:9/t?group=g", {})
