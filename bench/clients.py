"""Clients: many at once that keep their connections, on one event loop and bare sockets, so that they cost little.

Two cores carry the server and its clients: whatever a client spends, the server lacks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count


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
    heard = Heard()
    asyncio.run(_all(port, requests, clients, seconds, hears, heard))
    return heard


async def _all(port: int, requests: list[bytes], clients: int, seconds: float, hears: Hears, heard: Heard) -> None:
    numbers, began = count(), time.monotonic()
    until = began + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < until:
            number = next(numbers) % len(requests)
            sent = time.monotonic()
            try:
                writer.write(requests[number])
                status, body = await _answer(reader)
            except (OSError, EOFError, ValueError) as fault:
                heard.faults.append(f"{type(fault).__name__}: {fault}")
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                continue
            now = time.monotonic()
            if status == 200:
                heard.seconds.append(now - sent)
                hears(number, body, now)
            else:
                heard.faults.append(f"{status}: {body[:200]!r}")
        writer.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    heard.lasted = time.monotonic() - began


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return int(head[9:12]), await reader.readexactly(int(length))
