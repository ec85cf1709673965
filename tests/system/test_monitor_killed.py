"""kill -9 while news is read: after a restart the alerts are those of a run that nothing cut off, byte for byte."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.finance_monitor.journal import Journal

pytestmark = pytest.mark.system
KILLS = int(os.environ.get("KEEL_KILLS", "5"))
ITEMS = 900
# The labels come of the words themselves, some milliseconds each, so that a kill meets every moment of the road.
CHILD = """
import sys, time, zlib
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.run import Models, monitor
from engine import Answer, Prediction

class Words:
    model, version = "words", None
    spec = SimpleNamespace(languages=("en",), heads=(), vectors="")
    def predict(self, titles):
        time.sleep(0.002 * len(titles))
        return [Prediction({"sentiment": sure("negative" if "attack" in title else "neutral"),
                            "topics": sure("cyber" if "attack" in title else "earnings")}, "words", "words")
                for title in titles]
    def stream(self, titles):
        for title in titles:
            vector = np.zeros(4096, dtype=np.float32)
            vector[zlib.crc32(title.encode()) % 4096] = 1.0
            yield vector

def sure(label):
    return Answer((label,), {label: 1.0})

print("ready", flush=True)
words = Words()
files = {"log": Path("alerts.jsonl"), "dead_letters": Path("dead.jsonl")}
monitor([File("news.jsonl")], Models([words], words), state=sys.argv[1], **files)
"""


def feed(path: Path) -> None:
    """News with two surges, a line that is none, and some that come in the wrong order."""
    draw, start = random.Random(13), datetime(2026, 3, 2, tzinfo=UTC)
    lines = []
    for number in range(ITEMS):
        surge = 300 <= number % 450 < 340
        minutes = 6 * number + draw.uniform(-2, 2)
        when = (start + timedelta(minutes=minutes)).isoformat()
        title = f"attack {number} on the firm" if surge else f"usual report {number} of the day"
        lines.append(json.dumps({"id": f"n{number}", "published": when, "title": title, "source": "wire"}))
    lines.insert(500, "no news")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def child(folder: Path, state: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", CHILD, state], stdout=subprocess.PIPE, text=True, cwd=folder)


def files(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("alerts.jsonl", "dead.jsonl")]


def test_a_killed_monitor_goes_on_exactly(tmp_path: Path, new_database: Callable[[], str]) -> None:
    state = new_database()
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
        feed(tmp_path / name / "news.jsonl")
    started = time.monotonic()
    with child(tmp_path / "whole", new_database()) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        started = time.monotonic()
        assert process.wait(timeout=120) == 0
    seconds = time.monotonic() - started
    rolls, killed = random.Random(13), 0
    while killed < KILLS:
        with child(tmp_path / "cut", state) as process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            time.sleep(rolls.uniform(0, 2 * seconds / KILLS))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
            if process.returncode == 0:
                break
    assert killed > 0
    with child(tmp_path / "cut", state) as process:
        assert process.wait(timeout=120) == 0
    whole, cut = files(tmp_path / "whole"), files(tmp_path / "cut")
    assert cut == whole
    found: list[dict[str, Any]] = [json.loads(line) for line in whole[0].decode().splitlines()]
    assert [alert["status"] for alert in found if alert["revision"] == 1] == ["firing", "firing"]
    assert [alert["status"] for alert in found].count("resolved") == 2
    record = Journal(state)
    with record.database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from finance_items").scalar_one() == ITEMS
    assert len(list(record.dead())) == 1
    record.close()
