"""Kafka: a topic, read as a member of a consumer group.

Tried against the broker that librdkafka carries for tests, which speaks Kafka's protocol; against no other one.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from apps.finance_monitor.feeds.source import Entry, Start, Stream, merged
from apps.finance_monitor.items import Bad, DeadLetter, NewsItem, letter, parse
from apps.finance_monitor.mapping import Mapping
from engine.errors import InputError

TIMEOUT = 10.0
IN_FLIGHT = 5.0
"""Seconds that a partition is waited for which has more, so that none runs ahead of another through a backlog: a broker
may well take one to give the first of it. One that has let them pass is waited for again from its next message on."""
ONE_WAIT = 0.1
"""Seconds at a time that whatever comes next is waited for."""
MOST_HELD = 20_000
"""Messages of partitions that are ahead; beyond it they run ahead."""
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
        self._streams: list[Stream] = []
        self._held: dict[int, deque[Any]] = {}
        """Partition -> messages of it that wait for their turn."""
        self._ended: set[int] = set()
        """Partitions with nothing more now."""
        self._late: set[int] = set()
        """Partitions with more that has not come in time."""
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
        """As `Source` says; partitions are read in order of event time, too.

        Raises:
            InputError: the topic is to be read once and is not there.
        """
        self._start = start
        self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked)
        self._streams.append(Stream(self._watch()))
        return merged(self._streams)

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

    def _watch(self) -> Iterator[None]:
        """A stream that has nothing itself, but takes what comes to any partition."""
        while self._follow or not self._held or self._ended != self._held.keys():
            while self._taken(0.0):
                pass
            yield None

    def _partition(self, number: int) -> Iterator[Entry | None]:
        held = self._held[number]
        while True:
            if not held and number not in self._late:
                self._await(number)
            if held:
                message = held.popleft()
                yield Entry(self._found(message), self._feed(number), str(message.offset() + 1))
            elif self._follow or number not in self._ended:
                yield None
            else:
                return

    def _await(self, number: int) -> None:
        """Take what comes until it is of this partition, or tells its end; no longer than others have room."""
        until = time.monotonic() + IN_FLIGHT
        while not (self._held[number] or number in self._ended or self._full()):
            if time.monotonic() > until:
                self._late.add(number)
                return
            self._taken(ONE_WAIT)

    def _full(self) -> bool:
        return sum(map(len, self._held.values())) >= MOST_HELD

    def _taken(self, wait: float) -> bool:
        """Put the next message with its partition's; whether there was one, and room for it."""
        if self._full():
            return False
        message = self._consumer.poll(wait)
        fault = message.error() if message is not None else self._fault
        if fault is None:
            if message is None:
                return False
            number = message.partition()
            self._ended.discard(number)
            self._late.discard(number)
            if message.offset() >= self._next.get(number, 0):  # else given out again as the group was dealt anew
                self._next[number] = message.offset() + 1
                self._held[number].append(message)
            return True
        if fault.code() == self._kafka.KafkaError._PARTITION_EOF:
            self._ended.add(message.partition())
            return True
        if not self._follow:
            raise InputError(f"--feed {self.name}: {fault.str()}; are broker and topic there?")
        _LOG.warning("%s: %s", self.name, fault.str())
        self._fault = None
        self._ended |= self._held.keys()  # nobody is waited for
        return False

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        """Set where reading goes on, of each partition that the group gives to us."""
        found = consumer.committed(partitions, timeout=TIMEOUT)
        for known in found:
            kept = self._start and self._start(self._feed(known.partition))
            at = max(known.offset, int(kept or 0), self._next.get(known.partition, 0))
            known.offset = at if at > 0 else self._kafka.OFFSET_BEGINNING
            self._next[known.partition] = max(at, 0)
            self._ended.discard(known.partition)
            self._late.discard(known.partition)
            if known.partition not in self._held:
                self._held[known.partition] = deque()
                self._streams.append(Stream(self._partition(known.partition)))
        consumer.assign(found)

    def _revoked(self, consumer: Any, partitions: list[Any]) -> None:
        """Another member reads on; what waits here was not committed and goes to it."""
        for number in (each.partition for each in partitions):
            if held := self._held[number]:
                self._next[number] = held[0].offset()
                held.clear()
            self._ended.add(number)

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
