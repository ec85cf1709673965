"""The feed: good lines become items in order of time, bad lines dead letters, a growing file is followed."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.finance_monitor.feeds import named, source
from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.feeds.line import Position
from apps.finance_monitor.feeds.source import Entry, chunks
from apps.finance_monitor.items import MAX_LINE, DeadLetter, NewsItem, parse
from apps.finance_monitor.mapping import Mapping
from engine.errors import InputError

Write = Callable[[str, str | bytes], Path]
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
COLUMNS = Mapping("columns", {name: (name,) for name in ("id", "published", "title")}, "csv")


def line(number: int, **changes: Any) -> str:
    values = {"id": f"n{number}", "published": "2026-03-02T08:00:00Z", "title": f"Item {number}", "source": "wire"}
    return json.dumps({**values, **changes}, ensure_ascii=False) + "\n"


def read(path: Path) -> tuple[list[NewsItem], list[DeadLetter]]:
    found = [entry.found for entry in File(str(path)).entries(None) if entry]
    items = [one for one in found if isinstance(one, NewsItem)]
    return items, [one for one in found if isinstance(one, DeadLetter)]


def kept(path: Path, position: str | None) -> list[Entry]:
    """What is read behind a position that was kept."""
    return [entry for entry in File(str(path)).entries(lambda feed: position) if entry]


def test_times_are_read_with_their_zone_and_received_may_be_left_out(write: Write) -> None:
    items, dead = read(
        write("f.jsonl", line(1, published="2026-03-02T16:00:00+08:00", received="2026-03-02T08:01:00Z") + line(2))
    )
    assert [item.time for item in items] == [START, START]
    assert items[0].received == START + timedelta(minutes=1)
    assert not dead


def test_a_publishers_clock_that_runs_ahead_is_not_believed() -> None:
    item = parse(line(1, published="2027-01-01T00:00:00Z", received="2026-03-02T08:00:00Z").encode())
    assert item.time == START


def test_what_an_item_may_have_besides_is_read_and_may_be_empty() -> None:
    made = parse(line(2, body="Text", url="https://x.example/2", corrects=1, retracts="n0").encode())
    assert (made.body, made.url, made.corrects, made.retracts) == ("Text", "https://x.example/2", "1", "n0")
    empty = parse(line(2, body="", url=None, corrects=" ", lang="", tickers=None).encode())
    assert empty == parse(line(2).encode())


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"no json at all\n", "not JSON"),
        (b'{"id": "n1", "publ', "the line is cut off"),
        (b"[]\n", "a list where an object should stand"),
        (line(1, published="yesterday").encode(), "field 'published' is 'yesterday', no time; write RFC 3339"),
        (line(1, published="2026-03-02T08:00:00").encode(), "field 'published' has no zone"),
        (line(1, published="0001-01-01T00:00:00+05:00").encode(), "field 'published' lies in the year 1"),
        (line(1, received="9999-12-31T23:59:59Z").encode(), "field 'received' lies in the year 9999"),
        (line(1, title="").encode(), "field 'title' is missing"),
        (line(1, title="a\x00b").encode(), "field 'title' holds NUL bytes"),
        (b"\x00\x00\x00\n", "not JSON"),
        (line(1, title="caf\xe9").encode("latin-1"), "not UTF-8"),
        (line(1, id=None).encode(), "field 'id' is missing"),
        (line(1, tickers="HLDN").encode(), "field 'tickers' is not a list"),
        (line(1, tickers=["a\x00"]).encode(), "field 'tickers' holds NUL bytes"),
        (line(1, tickers=[1]).encode(), "field 'tickers' is not a list of texts"),
        (line(1, body=["x"]).encode(), "field 'body' is a list; send a text, or leave it out"),
        (line(1, url=3).encode(), "field 'url' is a int; send a text"),
        (line(1, source={}).encode(), "field 'source' is a dict; send a text"),
        (line(1, lang=False).encode(), "field 'lang' is a bool"),
        (line(1, corrects=1.5).encode(), "field 'corrects' is a float; send an id"),
        (line(1, retracts=True).encode(), "field 'retracts' is a bool; send an id"),
        (line(1, body="a\x00b").encode(), "field 'body' holds NUL bytes"),
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
    assert dead[0].text == (bad + end)[:MAX_LINE].decode("utf-8", "replace")


def test_a_truncated_last_line_is_a_dead_letter(write: Write) -> None:
    items, dead = read(write("f.jsonl", line(0) + line(1)[:30]))
    assert ([item.id for item in items], dead[0].line) == (["n0"], 2)


def test_an_empty_and_a_missing_feed_are_errors(write: Write) -> None:
    for path in (write("f.jsonl", ""), Path("gone.jsonl")):
        with pytest.raises(InputError):
            read(path)


def test_reading_goes_on_behind_a_line_and_starts_anew_in_another_file(write: Write) -> None:
    path = write("f.jsonl", line(0) + "\n" + line(1) + "broken\n" + line(2))
    read = kept(path, None)
    for at, entry in enumerate(read):
        assert kept(path, entry.after) == read[at + 1 :]
    path.unlink()
    other = write("f.jsonl", "".join(line(number) for number in range(20)))
    last = Position.read(read[-1].after)
    assert last.inode != other.stat().st_ino or other.stat().st_size > last.byte
    assert len(kept(other, str(Position(5, 10**9, other.stat().st_ino)))) == 20


def test_a_line_that_is_not_whole_yet_is_left_to_the_next_time(write: Write) -> None:
    path = write("f.jsonl", line(0) + line(1)[:20])
    (first,) = kept(path, None)
    with path.open("a") as stream:
        stream.write(line(1)[20:])
    (second,) = kept(path, first.after)
    assert isinstance(second.found, NewsItem)
    after = Position.read(second.after)
    assert (second.found.id, after.line, after.byte) == ("n1", 2, path.stat().st_size)


class Told:
    """A source that gives what it is told: minutes of items, None where more is waited for."""

    def __init__(self, name: str, minutes: list[int | None]) -> None:
        self.name = name
        self._minutes = minutes

    def entries(self, start: object) -> Iterator[Entry | None]:
        for number, minute in enumerate(self._minutes):
            if minute is None:
                yield None
                continue
            time = START + timedelta(minutes=minute)
            yield Entry(NewsItem(f"{self.name}{minute}", time, time, "title", self.name), self.name, str(number))

    def committed(self, chunk: object) -> None:
        pass

    def close(self) -> None:
        pass


def told(chunk: list[Entry]) -> str:
    return " ".join(entry.found.id for entry in chunk if isinstance(entry.found, NewsItem))


def test_chunks_end_where_more_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "POLL_SECONDS", 0.0)
    one = Told("a", [1, 2, None, None, 3, 4, 5, 6])
    assert [told(chunk) for chunk in chunks([one], 3)] == ["a1 a2", "a3 a4 a5", "a6"]


def test_several_feeds_are_read_in_order_of_time_and_none_waits_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "POLL_SECONDS", 0.0)
    whole = [Told("a", [1, 4, 5, 9]), Told("b", [2, 3, 6]), Told("c", [])]
    assert [told(chunk) for chunk in chunks(whole, 4)] == ["a1 b2 b3 a4", "a5 b6 a9"]
    waits = [Told("a", [1, None, None, 2, 9]), Told("b", [3, 5, 7])]
    assert [told(chunk) for chunk in chunks(waits, 64)] == ["a1 b3 b5 b7", "a2 a9"]
    endless = [Told("a", [*range(1000)]), Told("b", [None, None, 2000])]
    assert any("b2000" in told(chunk) for chunk in chunks(endless, 64))


def test_reading_ends_when_it_is_told_to() -> None:
    until = threading.Event()
    until.set()
    assert [told(chunk) for chunk in chunks([Told("a", [1, 2, 3])], 64, until=until)] == ["a1"]


def test_a_growing_file_is_followed_through_rotation_and_truncation(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    path.write_text(line(0))
    found: list[str] = []
    enough = threading.Event()

    def follow() -> None:
        for entry in File(str(path), follow=True).entries(None):
            if entry is None:
                time.sleep(0.02)
                continue
            assert isinstance(entry.found, NewsItem)
            found.append(entry.found.id)
            if entry.found.id == "n7":
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
        stream.write(line(3) + line(4))
        path.rename(tmp_path / "live.jsonl.1")
    path.write_text(line(5))
    wait(6)
    path.write_text("")  # truncated in place
    time.sleep(0.2)
    with path.open("a") as stream:
        stream.write(line(6) + line(7))
    assert enough.wait(20), found
    assert found == [f"n{number}" for number in range(8)]


def test_files_of_a_pattern_are_read_together_and_each_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "news").mkdir()
    for name, numbers in (("a", (1, 4)), ("b", (2, 3))):
        text = "".join(line(number, published=f"2026-03-02T08:0{number}:00Z") for number in numbers)
        (tmp_path / "news" / f"{name}.jsonl").write_text(text)
    (tmp_path / "news" / "empty.jsonl").write_text("")
    files = named("news/*.jsonl")
    (chunk,) = chunks([files], 64)
    assert told(chunk) == "n1 n2 n3 n4"
    kept = {entry.feed: entry.after for entry in chunk[:3]}
    assert kept.keys() == {str(tmp_path / "news" / f"{name}.jsonl") for name in "ab"}
    (rest,) = chunks([files], 64, kept.get)
    assert told(rest) == "n4"
    with pytest.raises(InputError, match="no file matches"):
        named("gone/*.jsonl")


def test_new_files_that_match_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "POLL_SECONDS", 0.01)
    until = threading.Event()
    found = chunks([named("*.jsonl", follow=True)], 64, until=until)
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_text(line(number))
        assert told(next(found)) == f"n{number}"
    with (tmp_path / "0.jsonl").open("a") as stream:
        stream.write(line(3))
    assert told(next(found)) == "n3"
    until.set()
    assert list(found) == []


@pytest.mark.parametrize("feed", ["typo.jsonl", "typo*.jsonl"])
def test_a_feed_that_is_not_there_yet_is_waited_for_and_that_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, feed: str
) -> None:
    monkeypatch.setattr("apps.finance_monitor.feeds.glob.REST", 0)
    entries = named(feed, follow=True).entries(None)
    assert [next(entries) for _ in range(3)] == [None] * 3
    (told_of,) = [one.getMessage() for one in caplog.records]
    assert told_of.startswith(f"{feed}: ")
    assert "yet" in told_of
    (tmp_path / "typo.jsonl").write_text(line(0))
    assert told([next(entry for entry in entries if entry)]) == "n0"
    assert len(caplog.records) == 1


def feeds_open() -> int:
    return sum(os.readlink(one.path).endswith(".jsonl") for one in os.scandir("/proc/self/fd") if os.path.islink(one))


@pytest.mark.parametrize("follow", [False, True])
def test_many_files_are_read_in_order_of_time_and_none_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, follow: bool
) -> None:
    monkeypatch.setattr(source, "POLL_SECONDS", 0.001)
    monkeypatch.setattr("apps.finance_monitor.feeds.line.PART", 1)  # each line is a part
    names = [f"{number:02}.jsonl" for number in range(30)]
    for at, name in enumerate(names):
        times = [f"2026-03-02T{hour:02}:{at:02}:00Z" for hour in range(3)]
        (tmp_path / name).write_text("".join(line(100 * hour + at, published=time) for hour, time in enumerate(times)))
    entries = named("*.jsonl", follow=follow).entries(lambda feed: None)
    found = []
    for entry in entries:
        assert feeds_open() == 0
        if entry is None:
            break
        assert isinstance(entry.found, NewsItem)
        found.append(entry.found.id)
    assert found == [f"n{100 * hour + at}" for hour in range(3) for at in range(30)]


def test_a_pattern_reads_out_what_was_rotated_and_no_torn_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.finance_monitor.feeds.glob.REST", 0)  # each turn is a look
    path = tmp_path / "live.jsonl"
    path.write_text(line(0) + line(1)[:20])
    (tmp_path / "other.jsonl").write_text(line(9))
    entries = named("*.jsonl", follow=True).entries(None)

    def more(count: int) -> str:
        return told(list(itertools.islice((entry for entry in entries if entry), count)))

    assert more(2) == "n0 n9"
    with path.open("a") as stream:
        stream.write(line(1)[20:])
    assert more(1) == "n1"
    with path.open("a") as stream:
        stream.write(line(2) + line(3))
    path.rename(tmp_path / "live.1")
    path.write_text(line(4))
    assert more(3) == "n2 n3 n4"
    path.write_text("")
    assert [next(entries) for _ in range(3)] == [None] * 3
    path.write_text(line(5))
    assert more(1) == "n5"
    with path.open("a") as stream:
        stream.write(line(6))
    path.rename(tmp_path / "live.2")  # and no other comes
    assert more(1) == "n6"


def test_a_pattern_of_growing_csv_keeps_headers_and_rows_over_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "live.csv"
    rows = [f'n{number},2026-03-02T08:00:00Z,"Item\n{number}"\n' for number in range(4)]
    path.write_text("id,published,title\n" + rows[0] + rows[1][:-5])
    entries = named("*.csv", follow=True, mapping=COLUMNS).entries(None)
    items = (entry for entry in entries if entry and entry.found)
    assert told([next(items)]) == "n0"
    assert next(entries) is None
    with path.open("a") as stream:
        stream.write(rows[1][-5:] + rows[2])
    assert told([next(items), next(items)]) == "n1 n2"
    with path.open("a") as stream:
        stream.write(rows[3])
    path.rename(tmp_path / "old")
    assert told([next(items)]) == "n3"


def test_standard_input_gives_what_is_there_while_its_writer_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stdin, os.fdopen(writer, "wb", buffering=0) as stdout:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin))
        found = named("-").entries(None)
        assert next(found) is None
        stdout.write((line(0) + line(1)[:9]).encode())
        first = next(found)
        assert first
        assert told([first]) == "n0"
        assert next(found) is None
        stdout.write((line(1)[9:] + "x" * 70_000 + "\n" + line(2)[:-1]).encode()[:60_000])
        second = next(found)
        assert second
        assert told([second]) == "n1"
        assert next(found) is None


@pytest.mark.parametrize(
    ("feed", "told"),
    [
        ("ftp://host/x", "ftp:// is no kind of feed"),
        ("redis://host/0?stream=s", "stream and group must be named"),
        ("redis://host/0?stream=s&group=g&gruop=h", "no such setting: gruop"),
        ("kafka://host/t", "topic and group must be named"),
    ],
)
def test_a_feed_that_cannot_be_is_told(feed: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = feed.partition(":")[0].replace("kafka", "confluent_kafka")
    if importlib.util.find_spec(library) or library == "ftp":
        with pytest.raises(InputError, match=told):
            named(feed)
    monkeypatch.setitem(sys.modules, library, None)
    if library != "ftp":
        with pytest.raises(InputError, match=r"pip install 'keel-suite\[(redis|kafka)\]'"):
            named(feed)
