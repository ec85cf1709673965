"""The feed: good lines become items in order of time, bad lines dead letters, a growing file is followed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.finance_monitor import feed
from engine.errors import InputError

Write = Callable[[str, str | bytes], Path]
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def line(number: int, **changes: Any) -> str:
    values = {"id": f"n{number}", "published": "2026-03-02T08:00:00Z", "title": f"Item {number}", "source": "wire"}
    return json.dumps({**values, **changes}, ensure_ascii=False) + "\n"


def read(path: Path) -> tuple[list[feed.NewsItem], list[feed.DeadLetter]]:
    found = [entry.found for entry in feed.entries(str(path)) if entry]
    items = [one for one in found if isinstance(one, feed.NewsItem)]
    return items, [one for one in found if isinstance(one, feed.DeadLetter)]


def test_times_are_read_with_their_zone_and_received_may_be_left_out(write: Write) -> None:
    items, dead = read(
        write("f.jsonl", line(1, published="2026-03-02T16:00:00+08:00", received="2026-03-02T08:01:00Z") + line(2))
    )
    assert [item.time for item in items] == [START, START]
    assert items[0].received == START + timedelta(minutes=1)
    assert not dead


def test_a_publishers_clock_that_runs_ahead_is_not_believed() -> None:
    item = feed.parse(line(1, published="2027-01-01T00:00:00Z", received="2026-03-02T08:00:00Z").encode())
    assert item.time == START


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"no json at all\n", "not JSON"),
        (b'{"id": "n1", "publ', "the line is cut off"),
        (b"[]\n", "a list where an object should stand"),
        (line(1, published="yesterday").encode(), "field 'published' is 'yesterday', no time; write RFC 3339"),
        (line(1, published="2026-03-02T08:00:00").encode(), "field 'published' has no zone"),
        (line(1, title="").encode(), "field 'title' is missing"),
        (line(1, title="a\x00b").encode(), "field 'title' holds NUL bytes"),
        (b"\x00\x00\x00\n", "not JSON"),
        (line(1, title="caf\xe9").encode("latin-1"), "not UTF-8"),
        (line(1, id=None).encode(), "field 'id' is missing"),
        (line(1, tickers="HLDN").encode(), "field 'tickers' is not a list"),
        (line(1, title="x" * 5_000_000).encode(), "over 1,000,000 bytes"),
    ],
)
def test_a_bad_line_is_a_dead_letter_and_the_next_is_read(write: Write, bad: bytes, reason: str) -> None:
    end = b"" if bad.endswith(b"\n") else b"\n"
    items, dead = read(write("f.jsonl", line(0).encode() + bad + end + line(2).encode()))
    assert [item.id for item in items] == ["n0", "n2"]
    assert dead[0].line == 2
    assert dead[0].file.endswith("f.jsonl")
    assert reason in dead[0].reason
    assert len(dead[0].text) <= 500


def test_a_truncated_last_line_is_a_dead_letter(write: Write) -> None:
    items, dead = read(write("f.jsonl", line(0) + line(1)[:30]))
    assert ([item.id for item in items], dead[0].line) == (["n0"], 2)


def test_an_empty_and_a_missing_feed_are_errors(write: Write) -> None:
    for path in (write("f.jsonl", ""), Path("gone.jsonl")):
        with pytest.raises(InputError):
            read(path)


def test_reading_goes_on_behind_a_line_and_starts_anew_in_another_file(write: Write) -> None:
    path = write("f.jsonl", line(0) + "\n" + line(1) + "broken\n" + line(2))
    read = [entry for entry in feed.entries(str(path)) if entry]
    for at, entry in enumerate(read):
        assert [one for one in feed.entries(str(path), start=entry.after) if one] == read[at + 1 :]
    path.unlink()
    other = write("f.jsonl", "".join(line(number) for number in range(20)))
    assert read[-1].after.inode != other.stat().st_ino or other.stat().st_size > read[-1].after.byte
    again = [entry for entry in feed.entries(str(other), start=feed.Position(5, 10**9, other.stat().st_ino)) if entry]
    assert len(again) == 20


def test_a_line_that_is_not_whole_yet_is_left_to_the_next_time(write: Write) -> None:
    path = write("f.jsonl", line(0) + line(1)[:20])
    (first,) = [entry for entry in feed.entries(str(path), start=feed.Position()) if entry]
    with path.open("a") as stream:
        stream.write(line(1)[20:])
    (second,) = [entry for entry in feed.entries(str(path), start=first.after) if entry]
    assert isinstance(second.found, feed.NewsItem)
    assert (second.found.id, second.after.line, second.after.byte) == ("n1", 2, path.stat().st_size)


def test_chunks_end_where_more_is_waited_for() -> None:
    entry = feed.Entry(None, feed.Position())
    lines = [entry, entry, None, None, entry, entry, entry, entry]
    assert [len(chunk) for chunk in feed.chunks(lines, 3)] == [2, 3, 1]


def test_a_growing_file_is_followed_through_rotation_and_truncation(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    path.write_text(line(0))
    found: list[str] = []
    enough = threading.Event()

    def follow() -> None:
        for entry in feed.entries(str(path), follow=True):
            if entry is None:
                continue
            assert isinstance(entry.found, feed.NewsItem)
            found.append(entry.found.id)
            if entry.found.id == "n6":
                enough.set()
                return

    def wait(count: int) -> None:
        limit = time.monotonic() + 20
        while len(found) < count and time.monotonic() < limit:
            time.sleep(0.05)
        assert len(found) >= count, found

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    wait(1)
    with path.open("a") as stream:
        stream.write(line(1) + line(2)[:20])
    wait(2)
    with path.open("a") as stream:
        stream.write(line(2)[20:])
    wait(3)
    with path.open("a") as stream:  # written just before the rotation
        stream.write(line(3))
        path.rename(tmp_path / "live.jsonl.1")
    path.write_text(line(4))
    wait(5)
    path.write_text("")  # truncated in place
    time.sleep(2 * feed.POLL_SECONDS)
    with path.open("a") as stream:
        stream.write(line(5) + line(6))
    assert enough.wait(20), found
    assert found == [f"n{number}" for number in range(7)]
