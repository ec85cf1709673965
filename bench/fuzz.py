"""Feeds full of whatever may come, through the whole road: nothing crashes, and each entry is counted once.

Half of the feeds are JSON lines, the others CSV under a mapping, RSS, Atom and pushed JSON (`shapes`).
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from apps.finance_monitor.feeds import named
from apps.finance_monitor.feeds.source import Source
from apps.finance_monitor.items import MAX_LINE
from apps.finance_monitor.journal import Journal
from apps.finance_monitor.run import Models, monitor
from bench.contract import Figures
from engine import Answer, Prediction, Progress

MINUTES = float(os.environ.get("KEEL_FUZZ_MINUTES", "10"))
LINES = 400
"""Of one feed."""
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
FIELDS = ("id", "published", "received", "title", "source", "lang", "tickers", "body", "url", "corrects", "retracts")
TIMES = (
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
    "1969-07-20T20:17:00Z", "2500-01-01T00:00:00Z", "2026-03-02", "2026-W10-1T08:00:00Z", "2026-03-02T24:00:00Z",
    "2026-03-02T08:00:60Z", "2026-02-30T08:00:00Z", "2026-03-02T08:00:00+99:99", "2026-03-02T08:00:00.123456789Z",
    "20260302T080000Z", "2026-03-02 08:00:00+00:00", "٢٠٢٦-03-02T08:00:00Z", "2026-03-02T08:00:00-00:00", "now", "",
)  # fmt: skip
TEXTS = (
    "", " ", "\u200b", "\ufeff", "\x00", "a\x00b", "\ud800", "x\udfffy", "\U0001f4a5" * 50, "\u202eltrevo",
    "e\u0301" * 300, "a\u0335" * 100, "中国银行 违约", "トヨタ", "\r\n", "a\u2028b", "\x85", "\x1b[31m", "<script>",
    "'; drop table items --", "$" * 99, "A " * 5000, "attack", "Attack at Halden Bank", "x" * 70_000, "\x7f",
    "NaN", "%s%n{0}",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**30, 1.5, float("nan"), float("inf"), 1e308, [], {}, [[]], [None], ["A", 1], {"a": {}},
    ["\ud800"], ["\x00"], [""], *TEXTS, *TIMES,
)  # fmt: skip


def run(*, seeds: int) -> Figures:
    """`crashes`: feeds that ended in an exception; `uncounted`: entries that were counted not at all, or twice."""
    from bench.shapes import SHAPES

    until = time.monotonic() + 60 * MINUTES * seeds
    total: Counter[str] = Counter()
    crashes: list[str] = []
    with Progress() as progress:
        while time.monotonic() < until:
            seed = total["feeds"]
            if seed % 20 == 0:
                progress.stage(f"{total['lines']:,} lines, {len(crashes)} crashes")
            total["feeds"] += 1
            draw = random.Random(seed)
            name = "jsonl" if seed % 2 else SHAPES[seed // 2 % len(SHAPES)].__name__
            try:
                if seed % 2:
                    found = counted(b"".join(lines(draw, LINES)))
                else:
                    with tempfile.TemporaryDirectory() as place:
                        found = SHAPES[seed // 2 % len(SHAPES)](draw, LINES // 4, Path(place))
                total.update({**vars(found), "uncounted": abs(found.uncounted), f"of_{name}": found.lines})
                if found.uncounted:
                    crashes.append(f"{name}, seed {seed}: {found}")
            except Exception:
                crashes.append(f"{name}, seed {seed}: {traceback.format_exc(limit=-2)}")
    return Figures(
        {
            "crashes": float(len(crashes)),
            "uncounted": float(total["uncounted"]),
            "inputs": float(total["lines"]),
        },
        {},
        {"seeds": seeds, "minutes": MINUTES, **dict(total), "first_crashes": crashes[:5]},
    )


@dataclass(frozen=True)
class Counted:
    """What became of a feed's lines, rows or entries."""

    lines: int
    blank: int
    dead: int
    read: int
    """Items that went on to the monitor, or wait for earlier ones."""
    late: int
    duplicates: int

    @property
    def uncounted(self) -> int:
        return self.lines - self.blank - self.dead - self.read - self.late - self.duplicates


def counted(data: bytes) -> Counted:
    """Read a feed to its end with a state, and then once more, which must find nothing new."""
    whole = data.split(b"\n")[:-1]
    with tempfile.TemporaryDirectory() as place:
        feed = Path(place) / "feed.jsonl"
        feed.write_bytes(data)
        blank = sum(not line.strip() for line in whole)
        return taken(Path(place), len(whole), blank, lambda: [named(str(feed))])


def taken(place: Path, entries: int, blank: int, sources: Callable[[], Sequence[Source]], **options: Any) -> Counted:
    """What became of the entries of sources that are read to their end with a state in a folder, twice."""
    state, words = str(place / "monitor.db"), cast(Any, Words())
    first, again = (
        monitor(
            sources(),
            Models([words], words),
            state=state,
            dead_letters=place / "dead.jsonl",
            keep_items=None,
            **options,
        )
        for _ in range(2)
    )
    record = Journal(state)
    with record.database.read() as connection:
        items = connection.exec_driver_sql("select count(*) from finance_items").scalar_one()
        letters = connection.exec_driver_sql("select count(*) from finance_dead").scalar_one()
    record.close()
    told = (place / "dead.jsonl").read_bytes().split(b"\n")[:-1] if letters else []
    late, twice = first.arrivals.late, first.arrivals.duplicates
    for line in told:
        json.loads(line)
    if first.tally != again.tally or len(told) != letters:
        raise AssertionError("a second reading found something else")
    return Counted(entries, blank, letters, items - late - twice, late, twice)


class Words:
    """Labels that come of the words themselves, and vectors of the title's hash."""

    model, version = "words", None
    spec = SimpleNamespace(languages=("en", "zh"), heads=(), vectors="")

    def predict(self, titles: Sequence[str]) -> list[Prediction]:
        return [_said(title) for title in titles]

    def stream(self, titles: Sequence[str]) -> Iterator[Any]:
        for title in titles:
            vector = np.zeros(256, dtype=np.float32)
            vector[zlib.crc32(title.encode()) % 256] = 1.0
            yield vector


def _said(title: str) -> Prediction:
    bad = "ttack" in title or zlib.crc32(title.encode()) % 3 == 0
    sentiment, topics = ("negative", ("cyber", "earnings")) if bad else ("neutral", ("earnings",))
    heads = {"sentiment": Answer((sentiment,), {sentiment: 1.0}), "topics": Answer(topics, dict.fromkeys(topics, 1.0))}
    return Prediction(heads, Words.model, "words")


def lines(draw: random.Random, count: int) -> Iterator[bytes]:
    """Lines of a feed, the good ones in order of time, each with its end."""
    minute = 0.0
    for number in range(count):
        minute += draw.expovariate(1 / 4)
        good = values(draw, number, minute)
        yield draw.choices(KINDS, WEIGHTS)[0](draw, good).replace(b"\n", b" ") + b"\n"


def values(draw: random.Random, number: int, minute: float) -> dict[str, Any]:
    at = START + timedelta(minutes=minute)
    found: dict[str, Any] = {
        "id": f"n{number}",
        "published": at.isoformat(),
        "title": f"Attack {number} at Halden Bank",
    }
    if draw.random() < 0.5:
        found |= {"source": "wire", "received": (at + timedelta(seconds=30)).isoformat(), "tickers": ["HLDN"]}
    if draw.random() < 0.1:
        found[draw.choice(["corrects", "retracts"])] = f"n{draw.randrange(number + 1)}"
    return found


def _good(draw: random.Random, good: dict[str, Any]) -> bytes:
    return json.dumps(good, ensure_ascii=draw.random() < 0.5).encode("utf-8", "replace")


def _late(draw: random.Random, good: dict[str, Any]) -> bytes:
    at = datetime.fromisoformat(good["published"]) - timedelta(minutes=draw.choice([1, 6, 60, 10_000]))
    return _good(draw, {**good, "published": at.isoformat(), "received": None})


def _twice(draw: random.Random, good: dict[str, Any]) -> bytes:
    return _good(draw, {**good, "id": f"n{draw.randrange(50)}"})


def _wrong(draw: random.Random, good: dict[str, Any]) -> bytes:
    """Fields of another type, missing, or odd."""
    found = dict(good)
    for field in draw.sample(FIELDS, draw.choice([1, 1, 2, len(FIELDS)])):
        found[field] = draw.choice(VALUES)
        if draw.random() < 0.1:
            del found[field]
    return _good(draw, found)


def _odd_time(draw: random.Random, good: dict[str, Any]) -> bytes:
    return _good(draw, {**good, draw.choice(["published", "received"]): draw.choice(TIMES)})


def _mutated(draw: random.Random, good: dict[str, Any]) -> bytes:
    raw = bytearray(_good(draw, good))
    for _ in range(draw.choice([1, 2, 30])):
        place = draw.randrange(len(raw) + 1)
        match draw.randrange(4):
            case 0:
                raw[place : place + 1] = draw.randbytes(1)
            case 1:
                del raw[place : place + 1]
            case 2:
                raw[place:place] = draw.choice([b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b'"', b"\\", b"{", b"\r"])
            case _:
                raw = raw[: place + 1]
    return bytes(raw)


def _encoded(draw: random.Random, good: dict[str, Any]) -> bytes:
    text = json.dumps({**good, "title": "Café 中国"}, ensure_ascii=False)
    return text.encode(draw.choice(["utf-8-sig", "utf-16", "utf-32", "utf-7", "gb18030"]))


def _noise(draw: random.Random, good: dict[str, Any]) -> bytes:
    return draw.randbytes(draw.choice([1, 7, 300]))


def _blank(draw: random.Random, good: dict[str, Any]) -> bytes:
    return draw.choice([b"", b" ", b"\t\r", b"\x0b\x0c", b"\xc2\xa0", b"\xef\xbb\xbf"])


def _json(draw: random.Random, good: dict[str, Any]) -> bytes:
    """Objects that are none, too deep, or with numbers without end."""
    deep, digits = draw.choice([50, 900, 100_000]), draw.choice([30, 4000, 5000])
    number = b'{"title": "t", "published": "2026-03-02T08:00:00Z", "id": ' + b"9" * digits + b"}"
    nested = [b"[" * deep, b'{"a":' * deep, b"[" * deep + b"]" * deep]
    return draw.choice([b"null", b"[]", b"1e999", b"-", b'"text"', *nested, number])


def _deep(draw: random.Random, good: dict[str, Any]) -> bytes:
    nested = "[" * 500 + "]" * 500
    return _good(draw, good)[:-1] + f', "{draw.choice(FIELDS)}": {nested}}}'.encode()


def _huge(draw: random.Random, good: dict[str, Any]) -> bytes:
    size = draw.choice([MAX_LINE - 200, MAX_LINE, 3 * MAX_LINE])
    return _good(draw, {**good, draw.choice(["title", "body", "x"]): "y" * size})


def _far(draw: random.Random, good: dict[str, Any]) -> bytes:
    """A clock gone mad, of a year that is possible: what comes after a future one is late."""
    year = draw.choice([1900, 1970, 2025, 2199])
    return _good(draw, {**good, "published": f"{year}-06-30T23:59:59Z", "received": None})


KINDS = (_good, _late, _twice, _wrong, _odd_time, _mutated, _encoded, _noise, _blank, _json, _deep, _huge, _far)
WEIGHTS = (100, 15, 10, 60, 20, 60, 8, 15, 10, 10, 5, 0.5, 0.2)
