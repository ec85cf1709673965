"""Clients: many at once that keep their connections, on one event loop and bare sockets, so that they cost little.

Two cores carry the server and its clients: whatever a client spends, the server lacks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import cast

import uvloop


@dataclass
class Heard:
    """What clients heard."""

    seconds: list[float] = field(default_factory=list)
    """Of each request."""
    faults: list[str] = field(default_factory=list)
    lasted: float = 0.0


Hears = Callable[[int, bytes, float], None]
"""Is told the number of the request, the body of the answer, and the time of its end (`time.monotonic`)."""


def request(path: str, body: bytes, key: str, host: str) -> bytes:
    """A POST as it goes over the wire."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def load(port: int, requests: list[bytes], clients: int, seconds: float, hears: Hears) -> Heard:
    """Each client sends one request after the other, the next in turn of all, until the seconds are over."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_all(port, requests, clients, seconds, hears))


async def _all(port: int, requests: list[bytes], clients: int, seconds: float, hears: Hears) -> Heard:
    heard, began = Heard(), time.monotonic()
    turns = cycle(enumerate(requests))
    all_ = [_Client(turns, began + seconds, hears, heard) for _ in range(clients)]
    loop = asyncio.get_running_loop()
    while going := [one for one in all_ if not one.done]:  # who lost the connection makes a new one
        await asyncio.gather(*(loop.create_connection(one.fresh, "127.0.0.1", port) for one in going))
        await asyncio.gather(*(one.gone.wait() for one in going))
    heard.lasted = time.monotonic() - began
    return heard


class _Client(asyncio.Protocol):
    def __init__(self, turns: Iterator[tuple[int, bytes]], until: float, hears: Hears, heard: Heard) -> None:
        self.turns, self.until, self.hears, self.heard = turns, until, hears, heard
        self.done, self.gone = False, asyncio.Event()

    def fresh(self) -> _Client:
        """Itself, for a new connection."""
        self.answer = b""
        self.gone.clear()
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, ended, body = self.answer.partition(b"\r\n\r\n")
        if not ended or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        self.answer, now = b"", time.monotonic()
        if head[9:12] == b"200":
            self.heard.seconds.append(now - self.sent)
            self.hears(self.number, body, now)
        else:
            self.heard.faults.append(f"{head[9:12].decode()}: {body[:200]!r}")
        self._ask()

    def connection_lost(self, fault: Exception | None) -> None:
        if not self.done:
            self.heard.faults.append(f"the connection ended: {fault}")
            self.done = time.monotonic() >= self.until
        self.gone.set()

    def _ask(self) -> None:
        self.sent = time.monotonic()
        if self.sent >= self.until:
            self.done = True
            self.transport.close()
            return
        self.number, request = next(self.turns)
        self.transport.write(request)
