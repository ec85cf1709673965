"""RSS and Atom over real HTTP: asked with ETags, left alone when they fail, each entry once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from apps.finance_monitor.feeds import rss, source
from apps.finance_monitor.feeds.rss import Cursor, WebFeed, pause
from apps.finance_monitor.feeds.source import Entry
from apps.finance_monitor.items import DeadLetter, NewsItem
from apps.finance_monitor.labels import label
from engine.errors import InputError, KeelError
from tests.finance_monitor.test_journal import fresh
from tests.finance_monitor.words import models

RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Harbour Wire</title><language>en-GB</language>
{}</channel></rss>"""
ATOM = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="zh">
<title>Wire</title><entry><id>urn:a</id><title type="html">Fish &amp;amp; &lt;b&gt;chips&lt;/b&gt;</title>
<updated>2026-03-02T16:00:00+08:00</updated><link href="/a.html"/><source><title>Harbour</title></source>
<content type="html">&lt;p&gt;One &lt;i&gt;two&lt;/i&gt;&lt;/p&gt;&lt;script&gt;x&lt;/script&gt;</content></entry>
</feed>"""


def row(number: int, *, date: str = "<pubDate>Mon, 02 Mar 2026 08:{:02d}:00 GMT</pubDate>") -> str:
    guid, when = f"<guid isPermaLink='false'>n{number}</guid>", date.format(number)
    body = f"<description>&lt;p&gt;Of {number}&lt;/p&gt;</description>"
    return f"<item>{guid}<title>Item {number}</title>{when}{body}</item>"


class Site:
    """A feed with an ETag; `answers` are given first: a status and its headers."""

    def __init__(self) -> None:
        self.body = ""
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.asked: list[str] = []
        """The ETag that each question brought."""
        self.url = ""

    def put(self, *rows: str) -> None:
        self.body = RSS.format("".join(rows))


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = site.body.encode()
            etag = f'"{hash(body)}"'
            asked = self.headers.get("if-none-match", "")
            site.asked.append(asked)
            status, headers = site.answers.pop(0) if site.answers else (304 if asked == etag else 200, {"ETag": etag})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if status == 200 else 0))
            self.end_headers()
            if status == 200:
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        site.url = f"http://127.0.0.1:{httpd.server_port}/feed"
        yield site
        httpd.shutdown()
        thread.join()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(source, "POLL_SECONDS", 0.002)
    with serving() as found:
        yield found


def entries(web: WebFeed, kept: dict[str, str] | None = None) -> Iterator[Entry]:
    known: dict[str, str] = {} if kept is None else kept
    for chunk in source.chunks([web], 64, known.get):
        for entry in chunk:
            yield entry
            known[entry.feed] = entry.after


def ids(found: list[Entry]) -> list[str]:
    return [entry.found.id for entry in found if isinstance(entry.found, NewsItem)]


def test_entries_are_items_oldest_first_with_their_html_taken_off(site: Site) -> None:
    site.put(row(2), row(1))
    first, second, end = entries(WebFeed(site.url))
    assert ids([first, second, end]) == ["n1", "n2"]
    assert isinstance(first.found, NewsItem)
    item = first.found
    assert (item.title, item.body, item.source, item.lang) == ("Item 1", "Of 1", "Harbour Wire", "en")
    assert item.published == datetime(2026, 3, 2, 8, 1, tzinfo=UTC)
    assert abs(item.received - datetime.now(UTC)) < timedelta(minutes=5)
    site.body = ATOM
    atom = next(entries(WebFeed(site.url))).found
    assert isinstance(atom, NewsItem)
    assert (atom.id, atom.title, atom.body, atom.lang) == ("urn:a", "Fish & chips", "One two", "zh")
    assert (atom.url, atom.source) == (site.url.replace("/feed", "/a.html"), "Harbour")
    assert atom.published == datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_a_followed_feed_is_asked_again_with_its_etag_and_gives_each_entry_once(site: Site) -> None:
    site.put(row(1))
    found = entries(WebFeed(site.url, follow=True, poll=0.01))
    assert ids([next(found), next(found)]) == ["n1"]
    site.answers = [(500, {}), (429, {"Retry-After": "0"}), (503, {})]
    site.put(row(3), row(2), row(1))
    assert ids([next(found), next(found), next(found)]) == ["n2", "n3"]
    found.close()  # type: ignore[attr-defined]
    assert not site.answers
    assert len([etag for etag in site.asked if etag]) >= 4


def test_a_restart_goes_on_in_the_middle_of_a_document_and_asks_for_no_document_twice(site: Site) -> None:
    site.put(row(3), row(2), row(1))
    kept: dict[str, str] = {}
    cut = entries(WebFeed(site.url), kept)
    assert ids([next(cut), next(cut)]) == ["n1", "n2"]
    cut.close()  # type: ignore[attr-defined]
    assert len(Cursor.read(kept[site.url]).seen) == 1  # the second was not kept yet
    assert ids(list(entries(WebFeed(site.url), kept))) == ["n2", "n3"]
    assert list(entries(WebFeed(site.url), kept)) == []
    assert [bool(etag) for etag in site.asked] == [False, False, True]
    site.put(row(4), row(3))
    assert ids(list(entries(WebFeed(site.url), kept))) == ["n4"]


def test_an_entry_whose_title_is_edited_comes_again_as_a_correction(site: Site) -> None:
    kept: dict[str, str] = {}

    def told(*rows: str) -> list[tuple[str, str, str | None]]:
        site.put(*rows)
        found = [entry.found for entry in entries(WebFeed(site.url), kept)]
        return [(one.id, one.title, one.corrects) for one in found if isinstance(one, NewsItem)]

    first = row(1)
    assert told(first) == [("n1", "Item 1", None)]
    again, third = first.replace("Item 1", "Item one"), first.replace("Item 1", "Item I")
    assert told(again) == [("n1#2", "Item one", "n1")]
    assert told(again.replace("Of 1", "Of 1, 7 comments")) == []
    assert told(third, row(2)) == [("n2", "Item 2", None), ("n1#3", "Item I", "n1#2")]  # in effect from now on
    assert told(third) == []
    assert told(first) == [("n1#4", "Item 1", "n1#3")]
    # A cursor of before titles were known takes none for edited.
    kept[site.url] = json.dumps({"etag": "", "modified": "", "seen": [*json.loads(kept[site.url])["seen"]]})
    assert told(third) == []
    assert told(again) == [("n1#2", "Item one", "n1")]


def test_a_kill_between_corrections_gives_them_again(site: Site) -> None:
    kept: dict[str, str] = {}
    site.put(row(1), row(2))
    list(entries(WebFeed(site.url), kept))
    site.put(row(1).replace("Item", "Word"), row(2).replace("Item", "Word"))
    cut = entries(WebFeed(site.url), kept)
    assert ids([next(cut), next(cut)]) == ["n1#2", "n2#2"]
    cut.close()  # type: ignore[attr-defined]
    assert ids(list(entries(WebFeed(site.url), kept))) == ["n2#2"]


def test_a_corrected_entry_takes_its_first_edition_out_of_an_alarm(site: Site) -> None:
    attacks = [row(number).replace("Item", "attack") for number in range(1, 40)]
    state = fresh()

    def read(web: Iterator[Entry]) -> None:
        items = [entry.found for entry in web if isinstance(entry.found, NewsItem)]
        for one in label(items, models().labellers, models().embedder):
            list(state.monitor.take(state.arrivals.add(one)))
        list(state.monitor.take(state.arrivals.rest()))

    kept: dict[str, str] = {}
    site.put(*attacks)
    read(entries(WebFeed(site.url), kept))
    site.put(attacks[0].replace("attack", "calm"), *attacks[1:])
    read(entries(WebFeed(site.url), kept))
    assert (state.monitor.tally.withdrawn, state.arrivals.duplicates, state.arrivals.late) == (1, 0, 0)


@pytest.mark.parametrize("date", ["<pubDate>soon</pubDate>", "<pubDate>0000-01-01T00:00:00Z</pubDate>"])
def test_an_entry_without_a_time_came_now_and_one_without_a_title_is_a_dead_letter_by_its_id(
    site: Site, date: str
) -> None:
    site.put(
        row(1, date=date),
        "<item><guid isPermaLink='false'>n2</guid></item>",
        "<item><title>x</title></item>",
    )
    found = [entry.found for entry in entries(WebFeed(site.url)) if entry.found]
    (item,) = [one for one in found if isinstance(one, NewsItem)]
    assert item.published == item.received
    titles, names = [one for one in found if isinstance(one, DeadLetter)]
    assert (titles.file, titles.line, titles.entry) == (site.url, None, "n2")
    assert "field 'title' is missing" in titles.reason
    assert "field 'id' is missing" in names.reason


def test_a_feed_that_is_read_once_and_does_not_come_is_told(site: Site) -> None:
    site.answers = [(404, {})]
    with pytest.raises(KeelError, match="answered 404"):
        list(entries(WebFeed(site.url)))
    site.body = "<html><p>closed for repairs"
    with pytest.raises(KeelError, match="no RSS or Atom feed stands there"):
        list(entries(WebFeed(site.url)))
    with pytest.raises(KeelError, match="ConnectError"):
        list(entries(WebFeed("http://127.0.0.1:9/feed")))
    for wrong in ("http://", "https://host:port/"):
        with pytest.raises(InputError, match="--feed http"):
            WebFeed(wrong)


def test_a_feed_that_is_gone_is_asked_no_more(site: Site) -> None:
    site.answers = [(410, {})]
    assert list(entries(WebFeed(site.url, follow=True, poll=0.01))) == []
    assert len(site.asked) == 1


def test_pauses_double_with_failures_and_are_as_long_as_the_server_asks() -> None:
    assert [pause(60, failures) for failures in range(4)] == [60, 120, 240, 480]
    assert pause(60, 30) == 3600
    assert pause(60, 1, wait=7200) == 7200
    with serving() as site:
        later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
        for header, wait in (("120", 120), (later, 90), ("soon", 0)):
            site.answers = [(503, {"Retry-After": header})]
            with httpx.Client() as web, pytest.raises(rss.Unanswered) as fault:
                rss.fetch(web, site.url)
            assert fault.value.wait == pytest.approx(wait, abs=5)
