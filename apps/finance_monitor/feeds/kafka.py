"""Kafka: a topic, read as a member of a consumer group.

Tried against the broker that librdkafka carries for tests, which speaks Kafka's protocol; against no other one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from apps.finance_monitor.feeds.source import Entry, Start
from apps.finance_monitor.items import Bad, DeadLetter, NewsItem, letter, parse
from apps.finance_monitor.mapping import Mapping
from engine.errors import InputError

TIMEOUT = 10.0
_LOG = logging.getLogger(__name__)


class KafkaTopic:
    """Messages of a topic, each a news item as JSON, with a cursor a partition: the next message's offset.

    The journal's cursor says where reading goes on; the group's own offset follows after each commit, for those who
    watch its lag, and counts where it is ahead: another member of the group has read on.

    Args:
        url: kafka://HOST:PORT/TOPIC?group=G; settings with a dot, security.protocol=SSL, are librdkafka's.
        follow: go on when all that is there has been read.
        mapping: how items are read from their JSON.

    Raises:
        InputError: the URL names no topic or group, or the library is not installed.
    """

    def __init__(self, url: str, *, follow: bool = False, mapping: Mapping | None = None) -> None:
        try:
            import confluent_kafka
        except ModuleNotFoundError:
            raise InputError(f"--feed {url}: Kafka needs its library: pip install 'keel-suite[kafka]'") from None
        self._kafka: Any = confluent_kafka
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query))
        group = asked.pop("group", "")
        self._topic = parts.path.strip("/")
        unknown = sorted(key for key in asked if "." not in key)
        if unknown or not group or not self._topic or not parts.netloc:
            wrong = f"no such setting: {', '.join(unknown)}" if unknown else "host, topic and group must be named"
            raise InputError(f"--feed {url}: {wrong}; write kafka://HOST:PORT/TOPIC?group=G")
        self.name = f"kafka://{parts.netloc}/{self._topic}?group={group}"
        self._follow = follow
        self._mapping = mapping
        self._start: Start | None = None
        self._next: dict[int, int] = {}
        self._fault: Any = None
        settings = {
            "bootstrap.servers": parts.netloc,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "error_cb": self._told,
            "log_level": 0,  # faults come by error_cb
        }
        try:
            self._consumer: Any = confluent_kafka.Consumer({**settings, **asked})
        except confluent_kafka.KafkaException as fault:
            raise InputError(f"--feed {self.name}: {fault.args[0].str()}") from None

    def entries(self, start: Start | None) -> Iterator[Entry | None]:
        """As `Source` says.

        Raises:
            InputError: the topic is to be read once and is not there.
        """
        self._start = start
        ended: set[int] = set()
        self._consumer.subscribe([self._topic], on_assign=self._assigned)
        while True:
            message = self._consumer.poll(0)
            fault = message.error() if message is not None else self._fault
            if fault is not None and fault.code() == self._kafka.KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            elif fault is not None and not self._follow:
                raise InputError(f"--feed {self.name}: {fault.str()}; are broker and topic there?")
            elif fault is not None:
                _LOG.warning("%s: %s", self.name, fault.str())
                self._fault = None
                yield None
            elif message is None:
                yield None
            elif message.offset() >= self._next.get(message.partition(), 0):
                ended.discard(message.partition())
                self._next[message.partition()] = message.offset() + 1
                feed = self._feed(message.partition())
                yield Entry(self._found(message), feed, str(message.offset() + 1))
            if not self._follow and ended and len(ended) == len(self._consumer.assignment()):
                return

    def committed(self, chunk: Sequence[Entry]) -> None:
        """Move the group's offsets. Where that fails the next commit makes good for it."""
        offsets = {entry.feed: int(entry.after) for entry in chunk}
        mine = [
            self._kafka.TopicPartition(self._topic, partition, offsets[self._feed(partition)])
            for partition in self._next
            if self._feed(partition) in offsets
        ]
        try:
            if mine:
                self._consumer.commit(offsets=mine, asynchronous=True)
        except (self._kafka.KafkaException, RuntimeError) as fault:
            _LOG.warning("%s: %s; committed later", self.name, fault)

    def close(self) -> None:
        """Leave the group, once the last commit is through."""
        self._consumer.close()

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        """Set where reading goes on, of each partition that the group gives to us."""
        for known in consumer.committed(partitions, timeout=TIMEOUT):
            kept = self._start and self._start(self._feed(known.partition))
            at = max(known.offset, int(kept or 0), self._next.get(known.partition, 0))
            if at > 0:
                self._next[known.partition] = at
        consumer.assign(
            [
                self._kafka.TopicPartition(
                    self._topic, each.partition, self._next.get(each.partition, self._kafka.OFFSET_BEGINNING)
                )
                for each in partitions
            ]
        )

    def _feed(self, partition: int) -> str:
        return f"{self.name}#{partition}"

    def _found(self, message: Any) -> NewsItem | DeadLetter | None:
        raw = message.value()
        if raw is None:
            return None  # a tombstone
        try:
            return parse(raw, self._mapping.item if self._mapping else None)
        except Bad as fault:
            where = f"partition {message.partition()} offset {message.offset()}"
            return letter(self.name, None, fault, raw, where)

    def _told(self, fault: Any) -> None:
        self._fault = fault
