"""RSS and Atom: a web feed, asked now and then for what is new."""

from __future__ import annotations

import hashlib
import json
import logging
import queue
import threading
from calendar import timegm
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any

import httpx

from apps.finance_monitor.feeds.source import Entry, Start
from apps.finance_monitor.items import Bad, DeadLetter, NewsItem, item, letter
from engine.errors import InputError, KeelError

POLL = 60.0
"""Seconds between two questions."""
LONGEST = 3600.0
"""Seconds that failures make the pause at most, unless the server asks for more."""
TIMEOUT = 20.0
MAX_BYTES = 20_000_000
AGENT = {"user-agent": "keel-finance-monitor"}
_LOG = logging.getLogger(__name__)


Edition = tuple[str, int]
"""Hash of an entry's title ("": not known), and which one of it that is, from 1 on."""


@dataclass(frozen=True)
class Cursor:
    """What was seen of a feed. A 304 is asked for only once the whole document has been taken."""

    etag: str = ""
    modified: str = ""
    seen: Mapping[str, Edition] = field(default_factory=dict)
    """Hash of an id in the last document -> how it read."""

    def __str__(self) -> str:
        return json.dumps(vars(self))

    @classmethod
    def read(cls, text: str) -> Cursor:
        values = json.loads(text)
        seen = values["seen"]
        if isinstance(seen, list):  # written before editions were known
            seen = dict.fromkeys(seen, ("", 1))
        return cls(
            values["etag"], values["modified"], {mark: (title, number) for mark, (title, number) in seen.items()}
        )


@dataclass(frozen=True)
class Document:
    """A feed as it was fetched."""

    parsed: Any
    received: datetime
    etag: str
    modified: str

    def editions(self, before: Mapping[str, Edition]) -> dict[str, tuple[Any, Edition]]:
        """Mark -> entry and its edition, the first of each id; one whose title is not what it was is the next edition.

        The title alone decides: it is what the model reads, and summaries often hold counters.
        """
        found: dict[str, tuple[Any, Edition]] = {}
        for row in self.parsed.entries:
            title = _hash(_text(row.get("title")) or "")
            known, number = before.get(mark := _mark(row), ("", 0))
            edited = number == 0 or (known != "" and known != title)
            found.setdefault(mark, (row, (title, number + edited)))
        return found


class Unanswered(Exception):
    """A question that brought no feed.

    Attributes:
        wait: seconds that the server asked to be left alone; 0 where it named none.
        gone: it will not come back.
    """

    def __init__(self, reason: str, wait: float = 0.0, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.gone = gone


class WebFeed:
    """Entries of a feed, each id once, oldest first; one whose title was edited comes again as a correction.

    A thread asks, so that a slow server holds up no other feed.

    Args:
        url: http or https.
        follow: ask again and again; else once.
        poll: seconds between two questions.
    """

    def __init__(self, url: str, *, follow: bool = False, poll: float = POLL) -> None:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as fault:
            raise InputError(f"--feed {url}: no URL ({fault})") from None
        if not parsed.host:
            raise InputError(f"--feed {url}: the URL names no host; write https://HOST/PATH")
        self.name = str(parsed.copy_with(username=None, password=None))
        self._url = url
        self._follow = follow
        self._poll = poll

    def entries(self, start: Start | None) -> Iterator[Entry | None]:
        """As `Source` says.

        Raises:
            KeelError: the feed was asked for once, and did not come.
        """
        kept = start and start(self.name)
        cursor = Cursor.read(kept) if kept else Cursor()
        asked = _Asked(self._url, self.name, cursor, poll=self._poll if self._follow else None)
        asked.start()
        try:
            while True:
                try:
                    answer = asked.answers.get_nowait()
                except queue.Empty:
                    yield None
                    continue
                if isinstance(answer, Unanswered):
                    raise KeelError(f"--feed {self.name}: {answer}")
                if answer is None:
                    return
                for entry in self._entries(answer, cursor):
                    yield entry
                cursor = Cursor.read(entry.after)  # the last stands behind the document
                asked.taken.set()
        finally:
            asked.end()

    def committed(self, chunk: Sequence[Entry]) -> None:
        """Nobody waits to be told."""

    def close(self) -> None:
        """Nothing is open any more."""

    def _entries(self, document: Document, before: Cursor) -> Iterator[Entry]:
        source = _text(document.parsed.feed.get("title")) or httpx.URL(self._url).host
        language = (document.parsed.feed.get("language") or "").split("-")[0].lower() or None
        now, seen = document.editions(before.seen), dict(before.seen)
        new = [
            (mark, self._found(row, document.received, source, language, edition[1]))
            for mark, (row, edition) in now.items()
            if mark not in seen or seen[mark][1] < edition[1]
        ]
        new.sort(key=lambda one: one[1].time if isinstance(one[1], NewsItem) else document.received)
        for mark, found in new:
            seen[mark] = now[mark][1]
            # Until all is taken the old answer counts, so that a restart is sent the document again.
            yield Entry(found, self.name, str(Cursor(before.etag, before.modified, seen)))
        editions = {mark: edition for mark, (_, edition) in now.items()}
        yield Entry(None, self.name, str(Cursor(document.etag, document.modified, editions)))

    def _found(
        self, row: Any, received: datetime, source: str, language: str | None, edition: int
    ) -> NewsItem | DeadLetter:
        times = (_time(row, name) for name in ("published_parsed", "updated_parsed"))
        values = {
            "id": row.get("id") or row.get("link"),
            "published": next(filter(None, times), received).isoformat(),
            "received": received.isoformat(),
            "title": _text(row.get("title")),
            "body": _text(row.content[0].value if row.get("content") else row.get("summary")),
            "source": _text((row.get("source") or {}).get("title")) or source,
            "url": row.get("link"),
            "lang": language,
        }
        if edition > 1 and values["id"]:
            # It takes effect when it is seen: the entry keeps the time of its first edition, which is over by now.
            earlier = f"{values['id']}#{edition - 1}" if edition > 2 else values["id"]
            values |= {"id": f"{values['id']}#{edition}", "corrects": earlier, "published": values["received"]}
        try:
            return item(values)
        except Bad as fault:
            return letter(self.name, None, fault, json.dumps(values, ensure_ascii=False), values["id"])


class _Asked(threading.Thread):
    """Asks for a feed, again and again or, without `poll`, once; None among the answers is their end."""

    def __init__(self, url: str, name: str, cursor: Cursor, *, poll: float | None) -> None:
        super().__init__(name=name, daemon=True)
        self.answers: queue.SimpleQueue[Document | Unanswered | None] = queue.SimpleQueue()
        self.taken = threading.Event()
        """Set when the last document has been read: there is one at a time."""
        self._url = url
        self._cursor = cursor
        self._poll = poll
        self._ending = threading.Event()

    def end(self) -> None:
        """Ask no more; a question that is under way is let go."""
        self._ending.set()
        self.taken.set()

    def run(self) -> None:
        etag, modified, failures = self._cursor.etag, self._cursor.modified, 0
        with httpx.Client(
            timeout=TIMEOUT, follow_redirects=True, headers={"user-agent": "keel-finance-monitor"}
        ) as web:
            while not self._ending.is_set():
                wait = 0.0
                try:
                    document = fetch(web, self._url, etag, modified)
                except Unanswered as fault:
                    failures, wait = failures + 1, fault.wait
                    if self._poll is None:
                        self.answers.put(fault)
                        return
                    _LOG.warning("%s: %s", self.name, fault)
                    if fault.gone:
                        break
                else:
                    failures = 0
                    if document:
                        etag, modified = document.etag, document.modified
                        self.taken.clear()
                        self.answers.put(document)
                        self.taken.wait()
                if self._poll is None:
                    break
                self._ending.wait(pause(self._poll, failures, wait))
        self.answers.put(None)


def fetch(web: httpx.Client, url: str, etag: str = "", modified: str = "") -> Document | None:
    """The feed, or None: nothing has changed.

    Raises:
        Unanswered: it did not come.
    """
    import feedparser

    headers = {"if-none-match": etag, "if-modified-since": modified}
    try:
        with web.stream("GET", url, headers={name: value for name, value in headers.items() if value}) as answer:
            if answer.status_code == httpx.codes.NOT_MODIFIED:
                return None
            if not answer.is_success:
                gone = answer.status_code == httpx.codes.GONE
                raise Unanswered(f"answered {answer.status_code}", _retry_after(answer), gone=gone)
            content = bytearray()
            for part in answer.iter_bytes():
                content += part
                if len(content) > MAX_BYTES:
                    raise Unanswered(f"the feed has over {MAX_BYTES:,} bytes")
    except httpx.HTTPError as fault:
        raise Unanswered(f"{type(fault).__name__}: {fault}") from None
    try:
        parsed = feedparser.parse(
            bytes(content), response_headers={**answer.headers, "content-location": str(answer.url)}
        )
    except Exception as fault:  # feedparser reads what it can; what it cannot must not end the questions
        raise Unanswered(f"not readable: {fault!r}") from None
    if not parsed.version and not parsed.entries:
        raise Unanswered("no RSS or Atom feed stands there; give the feed's own URL, not its page's")
    validators = answer.headers.get("etag", ""), answer.headers.get("last-modified", "")
    return Document(parsed, datetime.now(UTC), *validators)


def pause(poll: float, failures: int, wait: float = 0.0) -> float:
    """Seconds to the next question: doubled with each failure in a row, and no less than the server asked for."""
    return max(poll, min(poll * 2.0**failures, LONGEST), wait)


def _retry_after(answer: httpx.Response) -> float:
    value = answer.headers.get("retry-after", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _mark(row: Any) -> str:
    name = row.get("id") or row.get("link") or json.dumps([row.get("title"), row.get("summary")])
    return _hash(name)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _time(row: Any, name: str) -> datetime | None:
    """None: the entry has none, or one that cannot be, as in the year 0."""
    if name not in row:  # asked for by its key alone, feedparser would give another one
        return None
    try:
        return datetime.fromtimestamp(timegm(row[name]), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _text(html: str | None) -> str | None:
    """Without tags; what scripts and styles hold is none."""
    if not html or "<" not in html:
        return unescape(html) if html else html
    from bs4 import BeautifulSoup

    return " ".join(BeautifulSoup(html, "html.parser").get_text(" ").split())
