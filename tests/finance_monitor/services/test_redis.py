"""Redis Streams on the real server: killed and started again, nothing is lost, and nothing counts twice."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from apps.finance_monitor.feeds import claimed, source
from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.feeds.redis import RedisStream
from apps.finance_monitor.items import DeadLetter, NewsItem
from apps.finance_monitor.journal import Journal
from apps.finance_monitor.run import Result, monitor
from apps.finance_monitor.sinks import Webhook
from engine.errors import InputError
from tests.finance_monitor.test_feed import line
from tests.finance_monitor.test_outbox import ids, server
from tests.finance_monitor.words import models
from tests.services import RedisServer
from tests.system.test_monitor_killed import ITEMS, feed


def url(redis_server: RedisServer) -> str:
    return f"redis://127.0.0.1:{redis_server.port}/0?stream=news&group=desk"


def add(redis_server: RedisServer, lines: list[str]) -> None:
    with redis.Redis(port=redis_server.port) as client:
        for one in lines:
            client.xadd("news", {"data": one})


def read(redis_server: RedisServer, kept: dict[str, str], *, size: int = 64, acknowledge: bool = True) -> list[Any]:
    """All that is there, as a monitor would take it."""
    stream = RedisStream(url(redis_server))
    found = []
    for chunk in source.chunks([stream], size, kept.get):
        found += [entry.found for entry in chunk]
        kept.update({entry.feed: entry.after for entry in chunk})
        if acknowledge:
            stream.committed(chunk)
    stream.close()
    return found


def waiting(redis_server: RedisServer) -> int:
    """Entries that were given out and not acknowledged."""
    with redis.Redis(port=redis_server.port) as client:
        return int(client.xpending("news", "desk")["pending"])


def given_out(redis_server: RedisServer) -> int:
    with redis.Redis(port=redis_server.port) as client:
        groups = client.xinfo_groups("news")
        return int(groups[0]["entries-read"] or 0) if groups else 0


def until(what: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_server_killed_while_news_comes_costs_no_item_and_no_alert(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "POLL_SECONDS", 0.01)
    feed(tmp_path / "news.jsonl")
    lines = (tmp_path / "news.jsonl").read_text(encoding="utf-8").splitlines()
    log, whole = tmp_path / "alerts.jsonl", tmp_path / "whole.jsonl"
    monitor([File("news.jsonl")], models(), state="whole.db", log=whole, lateness=timedelta(minutes=30))

    def has_given(count: int) -> bool:
        return given_out(redis_server) >= count

    ending = threading.Event()
    results: list[Result] = []

    def follow(hook: str) -> None:
        stream = RedisStream(url(redis_server), follow=True)
        results.append(
            monitor(
                [stream],
                models(),
                follow=True,
                state="monitor.db",
                log=log,
                sinks=[Webhook(hook)],
                lateness=timedelta(minutes=30),
                until=ending,
            )
        )

    with server(lambda number: 200) as hook:
        for at, part in ((0, lines[:500]), (500, lines[500:])):  # the monitor is started again, too
            ending.clear()
            add(redis_server, part[:150])
            thread = threading.Thread(target=follow, args=(hook.url,))
            thread.start()
            until(partial(has_given, at + 1))
            redis_server.kill()
            time.sleep(0.3)
            redis_server.start()
            add(redis_server, part[150:])
            until(partial(has_given, at + len(part)))
            until(lambda: not waiting(redis_server))
            ending.set()
            thread.join()
    changes = [json.loads(one) for one in whole.read_text(encoding="utf-8").splitlines()]
    assert len(changes) >= 4
    assert log.read_text(encoding="utf-8") == whole.read_text(encoding="utf-8")
    assert [one.split("-")[0] for one in ids(hook)] == [change["id"] for change in changes]
    assert len(hook.taken) == len(ids(hook)) == len(changes)
    assert results[-1].waiting == {}
    assert results[-1].arrivals.duplicates == 0
    record = Journal("monitor.db")
    with record.database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from finance_items").scalar_one() == ITEMS
    (letter,) = record.dead()
    assert "not JSON" in letter
    record.close()


def test_what_was_kept_but_not_acknowledged_is_not_read_again(redis_server: RedisServer) -> None:
    add(redis_server, [line(number) for number in range(100)])
    kept: dict[str, str] = {}
    assert len(read(redis_server, kept, acknowledge=False)) == 100
    assert waiting(redis_server) == 100
    add(redis_server, [line(100)])
    (late,) = read(redis_server, kept)
    assert late.id == "n100"
    assert waiting(redis_server) == 0


def test_what_was_given_out_but_not_kept_is_read_again(redis_server: RedisServer) -> None:
    add(redis_server, [line(number) for number in range(200)])
    kept: dict[str, str] = {}
    stream = RedisStream(url(redis_server))
    chunk = next(source.chunks([stream], 30, kept.get))
    kept.update({entry.feed: entry.after for entry in chunk})  # and then the process dies
    stream.close()
    assert waiting(redis_server) == 64
    assert [one.id for one in read(redis_server, kept)] == [f"n{number}" for number in range(30, 200)]
    assert waiting(redis_server) == 0


def test_a_server_that_lost_its_group_goes_on_where_the_journal_was(redis_server: RedisServer) -> None:
    add(redis_server, [line(number) for number in range(5)])
    kept: dict[str, str] = {}
    read(redis_server, kept)
    with redis.Redis(port=redis_server.port) as client:
        client.xgroup_destroy("news", "desk")
    add(redis_server, [line(5)])
    assert [one.id for one in read(redis_server, kept)] == ["n5"]


def test_flat_fields_are_an_item_and_a_bad_entry_is_a_dead_letter_with_its_id(redis_server: RedisServer) -> None:
    flat = {"id": "1", "published": "2026-03-02T08:00:00Z", "title": "涨", "source": "wire", "tickers": "HLDN,BRK.B"}
    with redis.Redis(port=redis_server.port) as client:
        client.xadd("news", flat)
        bad = client.xadd("news", {"id": "2", "title": "no time"})
        worse = client.xadd("news", {"data": "{"})
    item, first, second = read(redis_server, {})
    assert isinstance(item, NewsItem)
    assert (item.title, item.tickers) == ("涨", ("HLDN", "BRK.B"))
    assert isinstance(first, DeadLetter)
    assert (first.entry, first.file) == (bad.decode(), url(redis_server))
    assert "field 'published'" in first.reason
    assert (second.entry, second.text) == (worse.decode(), "{")


def given_to(redis_server: RedisServer, consumer: str, count: int) -> None:
    """Another monitor is given entries, and does not come back for them."""
    with redis.Redis(port=redis_server.port) as client:
        client.xgroup_create("news", "desk", id="0", mkstream=True)
        client.xreadgroup("desk", consumer, {"news": ">"}, count=count)


def test_what_a_monitor_was_given_that_does_not_come_back_is_read_by_another(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(redis_server, [line(number) for number in range(200)])
    given_to(redis_server, "gone", 150)
    kept: dict[str, str] = {}
    assert [one.id for one in read(redis_server, kept)] == [f"n{number}" for number in range(150, 200)]
    assert waiting(redis_server) == 150, "it may come back within ten minutes"
    monkeypatch.setattr(claimed, "IDLE", 0)
    assert [one.id for one in read(redis_server, kept)] == [f"n{number}" for number in range(150)]
    assert waiting(redis_server) == 0
    assert read(redis_server, kept) == []


def test_what_was_trimmed_before_it_was_taken_over_is_a_dead_letter(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(redis_server, [line(number) for number in range(3)])
    given_to(redis_server, "gone", 3)
    with redis.Redis(port=redis_server.port) as client:
        client.xtrim("news", maxlen=2, approximate=False)
    monkeypatch.setattr(claimed, "IDLE", 0)
    found = read(redis_server, {})
    assert sorted(one.id for one in found if isinstance(one, NewsItem)) == ["n1", "n2"]
    (letter,) = [one for one in found if isinstance(one, DeadLetter)]
    assert "trimmed" in letter.reason


@pytest.mark.parametrize("follow", [False, True])
def test_what_is_taken_over_counts_once_wherever_the_monitor_is_killed(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, follow: bool
) -> None:
    monkeypatch.setattr(claimed, "IDLE", 0)
    monkeypatch.setattr(claimed, "LOOK", 0)
    monkeypatch.setattr(source, "POLL_SECONDS", 0.0)
    add(redis_server, [line(number) for number in range(300)])
    given_to(redis_server, "gone", 200)
    kept: dict[str, str] = {}
    found: list[str] = []
    draw = random.Random(13)
    while len(found) < 300:
        stream, until = RedisStream(url(redis_server), follow=follow), threading.Event()
        chunks = source.chunks([stream], 16, kept.get, until=until)
        for _ in range(draw.randrange(1, 5)):
            if (chunk := next(chunks, None)) is None or draw.random() < 0.3:
                break  # killed before it was committed
            found += [entry.found.id for entry in chunk if isinstance(entry.found, NewsItem)]
            kept |= {entry.feed: entry.after for entry in chunk}
            if draw.random() < 0.3 or len(found) == 300:
                break  # killed before it was acknowledged
            stream.committed(chunk)
        until.set()
        stream.close()
    assert sorted(found) == sorted(f"n{number}" for number in range(300))
    assert read(redis_server, kept) == []
    assert waiting(redis_server) == 0


def test_what_is_no_stream_and_who_is_not_there_are_told(redis_server: RedisServer) -> None:
    with redis.Redis(port=redis_server.port) as client:
        client.set("news", "text")
    with pytest.raises(InputError, match="is it a stream"):
        read(redis_server, {})
    redis_server.kill()
    with pytest.raises(InputError, match="is it there"):
        read(redis_server, {})
