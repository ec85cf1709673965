"""A million made-up items on the monitor's road, without its models: items a second, and whether memory stays flat."""

from __future__ import annotations

import json
import os
import random
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from apps.finance_monitor.alarms import Alarms
from apps.finance_monitor.arrivals import Arrivals
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.items import parse
from apps.finance_monitor.labels import Label, Labelled
from apps.finance_monitor.monitor import Monitor
from apps.finance_monitor.stories import Stories
from bench.contract import Figures
from engine import Progress
from engine.resources import find

ITEMS = 1_000_000
A_DAY = 36_000
"""Items a day: fifteen times those of a large wire, so that the million lasts four weeks."""
CHUNK = 1_000
LATENESS = timedelta(minutes=5)
TOPICS = ("earnings", "credit", "cyber", "macro", "products", "litigation", "markets")
ON_TOPIC, NEGATIVE = 0.15, 0.2
COPIED, TWICE, CHINESE = 0.25, 0.01, 0.05
"""Shares of items that pass on a recent title, that come twice, and that are Chinese."""
NAMES = 400


def run(*, seeds: int) -> Figures:
    """`items_per_s`: from JSON lines to alarms, on one core; `memory_growth`: the mean resident set of the last quarter
    against that of the second."""
    monitor = Monitor(Stories(), Companies(), Alarms({"name": "none"}))
    arrivals = Arrivals(LATENESS)
    wall = cpu = 0.0
    resident, alerts = [], 0
    with Progress() as progress:
        for number, lines in enumerate(_chunks(ITEMS)):
            if number % 20 == 0:
                progress.stage(f"{number * CHUNK:,} of {ITEMS:,} items")
            started, worked = time.perf_counter(), time.process_time()
            for line in lines:
                alerts += sum(1 for _ in monitor.take(arrivals.add(labelled(line))))
            monitor.points.clear()  # as whoever keeps or shows them does
            wall += time.perf_counter() - started
            cpu += time.process_time() - worked
            resident.append(_resident())
    quarters = [float(np.mean(part)) for part in np.array_split(resident, 4)]
    return Figures(
        {"items_per_s": ITEMS / wall, "memory_growth": quarters[3] / quarters[1] - 1},
        {},
        {
            "seeds": 1,
            "items": ITEMS,
            "items_per_cpu_s": round(ITEMS / cpu),
            "stories": monitor.tally.stories,
            "alert_changes": alerts,
            "late": arrivals.late,
            "duplicates": arrivals.duplicates,
            "resident_mb": [round(part / 1e6) for part in quarters],
        },
    )


def labelled(line: bytes) -> Labelled:
    """An item with labels that its title's first words decide, as a model would always give the same."""
    item = parse(line)
    draw = zlib.crc32(item.title.removeprefix("UPDATE 1-")[:12].encode())
    topics = (TOPICS[draw % len(TOPICS)],) if draw % 1000 < 1000 * ON_TOPIC else ()
    sentiment = "negative" if draw // 1000 % 1000 < 1000 * NEGATIVE else "neutral"
    return Labelled(item, "en", Label(sentiment, topics, "none"), None)


def _chunks(count: int) -> Iterator[list[bytes]]:
    """JSON lines of a made-up wire, some minutes out of order."""
    draw = random.Random(13)
    words, names = _words(), [f"{a}{b}" for a in _SYLLABLES[0] for b in _SYLLABLES[1]][:NAMES]
    start = datetime(2026, 1, 5, tzinfo=UTC)
    recent: list[str] = ["Nothing happened on the first day"]
    lines: list[bytes] = []
    for number in range(count):
        kind = draw.random()
        if kind < COPIED:
            title = draw.choice(("UPDATE 1-{}", "{} - wire", "{}")).format(draw.choice(recent))
        elif kind < COPIED + CHINESE:
            title = "".join(chr(draw.randrange(0x4E00, 0x5E00)) for _ in range(draw.randint(10, 24)))
        else:
            said = draw.choices(words, k=draw.randint(6, 13))
            title = " ".join([said[0].capitalize(), draw.choice(names), *said[1:]])
            recent = [*recent[-199:], title]
        time_ = start + timedelta(days=number / A_DAY, seconds=-draw.uniform(0, 240))
        item = {
            "id": f"i{number - draw.randint(1, 500) if number > 500 and draw.random() < TWICE else number}",
            "published": time_.isoformat(),
            "received": (time_ + timedelta(seconds=20)).isoformat(),
            "title": title,
            "source": f"outlet{draw.randrange(60)}",
            "lang": "en",
        }
        lines.append(json.dumps(item, ensure_ascii=False).encode())
        if len(lines) == CHUNK:
            yield lines
            lines = []
    if lines:
        yield lines


_SYLLABLES = (
    "Bel Cor Dan Far Gal Hol Jan Kel Lor Mar Nor Pel Ros Sar Tor Vel Wex Yor Zan Ald".split(),
    "dane field gate holm lund mere ridge stad ton vik wick worth berg dale ford mont sund vale haven brook".split(),
)


def _words() -> list[str]:
    text = find("data/finance/headlines.jsonl").read_text(encoding="utf-8")
    return sorted({word for word in text.split() if word.isascii() and word.isalpha() and word.islower()})


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
