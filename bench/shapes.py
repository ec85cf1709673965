"""Shapes: feeds full of whatever may come as CSV, RSS, Atom or pushed JSON, and what became of their entries."""

from __future__ import annotations

import csv
import io
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch
from xml.sax.saxutils import escape

import httpx
from fastapi.testclient import TestClient

from apps.finance_monitor import tables
from apps.finance_monitor.api import application
from apps.finance_monitor.feeds import named, rss, source
from apps.finance_monitor.feeds.pushed import Pushed
from apps.finance_monitor.inbox import Inbox
from apps.finance_monitor.mapping import Mapping
from bench import fuzz
from engine.service import Queue

FEEDS = {
    "rss": "<rss version='2.0'><channel><title>Wire</title><language>en</language>{}</channel></rss>",
    "atom": "<feed xmlns='http://www.w3.org/2005/Atom'><title>Wire</title>{}</feed>",
}
ENTRIES = {
    "rss": "<item><guid>{id}</guid><title>{title}</title><pubDate>{published}</pubDate>"
    "<description>{body}</description></item>",
    "atom": "<entry><id>{id}</id><title type='html'>{title}</title><updated>{published}</updated>"
    "<content type='html'>{body}</content></entry>",
}
BODIES = 8
"""That are pushed, each of several lines."""


def table(draw: random.Random, count: int, place: Path) -> fuzz.Counted:
    """Rows under a mapping; each line of the file stands in one record."""
    text = io.StringIO()
    columns = [*Mapping.load("csv").fields]
    csv.writer(text).writerow(columns)
    for number in range(count):
        found = _values(draw, number)
        csv.writer(text, lineterminator=draw.choice(["\n", "\r\n"])).writerow([found.get(name, "") for name in columns])
    head, rows = text.getvalue().encode("utf-8", "replace").split(b"\n", 1)
    data = head + b"\n" + _mutated(draw, rows)
    feed = place / "feed.csv"
    feed.write_bytes(data)
    mapping = Mapping.load("csv")
    whole = [entry for entry in named(str(feed), mapping=mapping).entries(None) if entry]
    if int(whole[-1].after.split()[0]) != data.count(b"\n") + (not data.endswith(b"\n")):
        raise AssertionError("lines behind the last record")
    kept = [entry for entry in named(str(feed), mapping=mapping).entries(lambda feed: None) if entry]
    blank = sum(entry.found is None for entry in kept)
    return fuzz.taken(place, len(kept), blank, lambda: [named(str(feed), mapping=mapping)])


def web(draw: random.Random, count: int, place: Path) -> fuzz.Counted:
    """A document, and then another one with some of its titles edited."""
    kind = draw.choice([*FEEDS])
    first = _mutated(draw, _document(draw, kind, count))
    edited = first.replace(b"Attack", b"Calm", draw.randrange(count))
    with _serving() as site, patch.object(source, "POLL_SECONDS", 0.001), httpx.Client() as asked:
        seen: dict[str, rss.Edition] = {}
        entries, found = 0, fuzz.Counted(1, 0, 1, 0, 0, 0)
        for site.body in (first, edited):
            try:
                document = rss.fetch(asked, site.url)
            except rss.Unanswered:  # refused whole, with its reason
                break
            editions = {mark: edition for mark, (_, edition) in document.editions(seen).items()} if document else {}
            entries += sum(seen.get(mark, ("", 0))[1] < edition for mark, (_, edition) in editions.items())
            seen = editions
            found = fuzz.taken(place, entries, 0, lambda: [named(site.url)])
    return found


def pushed(draw: random.Random, count: int, place: Path) -> fuzz.Counted:
    """Bodies of one item, of a list or of lines; what waits under the same id is kept once."""
    database = tables.opened(str(place / "monitor.db"))
    inbox, queue = Inbox(database), Queue(1)
    app, _ = application(database, inbox, queue=queue, per_minute=1_000_000)
    ids, dead = set(), 0
    with TestClient(app, base_url="http://127.0.0.1:8090", client=("127.0.0.1", 5)) as client:
        for _ in range(BODIES):
            body = _body(draw, list(fuzz.lines(draw, count // BODIES)))
            answer = client.post("/v1/items", content=body)
            if answer.status_code not in (202, 413, 422):
                raise AssertionError(f"{answer.status_code} to {body[:200]!r}")
            for verdict in answer.json() if answer.status_code == 202 else ():
                ids |= {verdict["id"]} - {None}
                dead += verdict["id"] is None
    queue.close()
    until = threading.Event()

    def done(_: object) -> None:
        if not inbox.waiting(0, 1):
            until.set()

    with patch.object(source, "POLL_SECONDS", 0.001):
        found = fuzz.taken(place, dead + len(ids), 0, lambda: [Pushed(inbox)], follow=True, until=until, on_pulse=done)
    database.close()
    return found


SHAPES: tuple[Callable[[random.Random, int, Path], fuzz.Counted], ...] = (table, web, pushed)


def _values(draw: random.Random, number: int) -> dict[str, Any]:
    """Texts for columns or elements, some of them odd."""
    found = {name: str(value) for name, value in fuzz.values(draw, number, 4.0 * number).items()}
    found["tickers"] = draw.choice(["", "HLDN", "HLDN;BRK.B", "$" * 40])
    if draw.random() < 0.3:
        found[draw.choice(fuzz.FIELDS)] = str(draw.choice(fuzz.VALUES))
    return found


def _document(draw: random.Random, kind: str, count: int) -> bytes:
    rows = []
    for number in range(count):
        found = {"body": "", "title": "", "id": "", "published": "", **_values(draw, number)}
        odd = draw.random() < 0.05
        rows.append(ENTRIES[kind].format(**{name: text if odd else escape(text) for name, text in found.items()}))
    text = "<?xml version='1.0'?>" + FEEDS[kind].format("".join(rows))
    return text.encode(draw.choices(["utf-8", "utf-16", "gb18030"], (20, 1, 1))[0], "replace")


def _body(draw: random.Random, lines: list[bytes]) -> bytes:
    good = []
    for line in lines:
        try:
            good.append(json.loads(line))
        except (ValueError, RecursionError):
            continue
    match draw.randrange(3):
        case 0:
            return json.dumps(good).encode()
        case 1:
            return lines[0]
        case _:
            return b"".join(lines)


def _mutated(draw: random.Random, data: bytes) -> bytes:
    raw = bytearray(data)
    for _ in range(draw.choice([0, 1, 3, 30])):
        place = draw.randrange(len(raw) + 1)
        odd = [b'"', b'""', b"\x00", b"\xff", b"\n", b"\r", b"<", b"&", b"]]>", b"<![CDATA[", b"&#0;", b"&#xD800;"]
        raw[place : place + draw.choice([0, 1, 40])] = draw.choice([b"", draw.randbytes(1), *odd])
    return bytes(raw)


class _Site:
    body = b""
    url = ""


@contextmanager
def _serving() -> Iterator[_Site]:
    site = _Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(site.body)))
            self.end_headers()
            self.wfile.write(site.body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        site.url = f"http://127.0.0.1:{httpd.server_port}/feed"
        try:
            yield site
        finally:
            httpd.shutdown()
            thread.join()
