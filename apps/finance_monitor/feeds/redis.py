"""Redis: a stream, read as a member of a consumer group."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from apps.finance_monitor.feeds.claimed import BATCH, Claimed
from apps.finance_monitor.feeds.source import Entry, Start
from apps.finance_monitor.items import Bad, DeadLetter, NewsItem, item, letter, parse
from apps.finance_monitor.mapping import Mapping
from engine.errors import InputError

FIRST, LONGEST = 0.1, 30.0
"""Seconds to the next try after the server went away, doubled each time, and at most."""
TIMEOUT = 5.0
KNOWN = ("stream", "group", "consumer")
_LOG = logging.getLogger(__name__)
_NONE = (0, 0)

Id = tuple[int, int]


class RedisStream:
    """Entries of a stream, each once.

    Redis keeps what was given out until it is acknowledged, and gives it out again after a restart or a broken
    connection; the journal's cursor says what of it was committed before and only needs its acknowledgement. What other
    consumers were given and never came back for is read, too, with a cursor of its own.

    Args:
        url: redis://HOST:PORT/DB?stream=NAME&group=G, rediss:// for TLS. Monitors that share a group's news name
            themselves apart by consumer=NAME.
        follow: go on when all that is there has been read.
        mapping: how items are read; None: field `data` holds one as JSON, or its fields stand in the entry.

    Raises:
        InputError: the URL names no stream or group, or the library is not installed.
    """

    def __init__(self, url: str, *, follow: bool = False, mapping: Mapping | None = None) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ModuleNotFoundError:
            raise InputError(f"--feed {url}: Redis needs its library: pip install 'keel-suite[redis]'") from None
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query))
        unknown = sorted(asked.keys() - set(KNOWN))
        if unknown or not asked.get("stream") or not asked.get("group"):
            wrong = f"no such setting: {', '.join(unknown)}" if unknown else "stream and group must be named"
            raise InputError(f"--feed {url}: {wrong}; write redis://HOST:PORT/DB?stream=NAME&group=G")
        self._stream, self._group = asked["stream"], asked["group"]
        self._consumer = asked.get("consumer", "finance-monitor")
        self.name = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self._follow = follow
        self._mapping = mapping
        try:
            self._client = redis.Redis.from_url(
                urlunsplit(parts._replace(query="")),
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                retry=Retry(NoBackoff(), 0),  # tries are ours: other feeds are read meanwhile
            )
        except ValueError as fault:
            raise InputError(f"--feed {self.name}: {fault}") from None
        self._away = (redis.ConnectionError, redis.TimeoutError)
        self._refused = redis.ResponseError
        self._committed = _NONE
        self._others = f"{self.name}#claimed"
        self._claimed: Claimed | None = None

    def entries(self, start: Start | None) -> Iterator[Entry | None]:
        """As `Source` says.

        Raises:
            InputError: Redis refuses the stream, or is to be read once and is not there.
        """
        kept = start and start(self.name)
        self._committed = _id(kept.encode()) if kept else _NONE
        seen = self._committed
        kept = start and start(self._others)
        others = self._claimed = Claimed(self._client, self._stream, self._group, self._consumer, kept)
        pause, due, answered = FIRST, 0.0, False
        pending: Id | None = _NONE
        """Up to where entries that were given out before have been looked at; None: all have."""
        while True:
            if time.monotonic() < due:
                yield None
                continue
            try:
                taken = others.rows(ahead=not self._follow) if pending is None else []
                rows = [] if taken else self._read(pending)
            except (*self._away, self._refused) as fault:
                if not self._follow or (isinstance(fault, self._refused) and not answered):
                    raise InputError(f"--feed {self.name}: {fault}; is it there, and is it a stream?") from None
                _LOG.warning("%s: %s; next try in %g s", self.name, fault, pause)
                due, pause = time.monotonic() + pause, min(2 * pause, LONGEST)
                pending = _NONE  # an answer may have been lost on its way
                others.lost()
                continue
            pause, answered = FIRST, True
            again = []
            for identity, fields in rows:
                at = _id(identity)
                if at > seen:
                    seen = at
                    yield Entry(self._found(identity.decode(), fields), self.name, identity.decode())
                elif at <= self._committed:
                    again.append(identity)
            self._acknowledge(again)
            for identity, fields in taken:
                name = identity.decode()
                yield Entry(self._found(name, fields), self._others, others.cursor(name))
            if taken:
                continue
            if rows:
                pending = pending and _id(rows[-1][0])
            elif pending is not None:
                pending = None
            elif self._follow:
                yield None
            else:
                return

    def committed(self, chunk: Sequence[Entry]) -> None:
        """Acknowledge its entries of this stream. Where Redis is away, they are given out again, and that is known."""
        mine = [entry.after.encode() for entry in chunk if entry.feed == self.name]
        if mine:
            self._committed = _id(mine[-1])
            self._acknowledge(mine)
        if self._claimed and (cursors := [entry.after for entry in chunk if entry.feed == self._others]):
            try:
                self._claimed.committed(cursors)
            except (*self._away, self._refused) as fault:
                _LOG.warning("%s: %s; acknowledged later", self.name, fault)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _acknowledge(self, identities: list[bytes]) -> None:
        try:
            if identities:
                self._client.xack(self._stream, self._group, *identities)
        except (*self._away, self._refused) as fault:
            _LOG.warning("%s: %s; acknowledged later", self.name, fault)

    def _read(self, pending: Id | None) -> list[tuple[bytes, dict[bytes, bytes] | None]]:
        after = ">" if pending is None else "{}-{}".format(*pending)
        for _ in range(2):
            try:
                answer: Any = self._client.xreadgroup(
                    self._group, self._consumer, {self._stream: after}, count=BATCH, block=None
                )
                return answer[0][1] if answer else []
            except self._refused as fault:
                if not str(fault).startswith("NOGROUP"):
                    raise
                self._make_group()
        return []

    def _make_group(self) -> None:
        """From what was committed on: a server that lost its data knows no group any more."""
        try:
            begin = "{}-{}".format(*self._committed)
            self._client.xgroup_create(self._stream, self._group, id=begin, mkstream=True)
        except self._refused as fault:
            if not str(fault).startswith("BUSYGROUP"):
                raise

    def _found(self, identity: str, fields: dict[bytes, bytes] | None) -> NewsItem | DeadLetter:
        if not fields:
            return letter(self.name, None, "the stream was trimmed before this was read; raise MAXLEN", "", identity)
        try:
            if b"data" in fields:
                return parse(fields[b"data"], self._mapping.item if self._mapping else None)
            values: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
            if self._mapping:
                return self._mapping.item(values)
            tickers = values.get("tickers", "")
            return item({**values, "tickers": [one for one in tickers.split(",") if one]})
        except UnicodeDecodeError as fault:
            return letter(self.name, None, f"not UTF-8 ({fault}); send UTF-8", repr(fields), identity)
        except Bad as fault:
            return letter(self.name, None, fault, fields.get(b"data") or repr(fields), identity)


def _id(identity: bytes) -> Id:
    """An entry's id in Redis: milliseconds and a number, which grow."""
    milliseconds, _, number = identity.partition(b"-")
    return int(milliseconds), int(number)
