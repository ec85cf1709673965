"""finance-monitor killed a hundred times over Keel's own feed: the alert log against that of a run left alone."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import newsroom
from bench.contract import Figures
from bench.newsroom import Newsroom
from engine import Progress
from engine.resources import find

KILLS = 100
CHILD = "import sys; from bench.crash_monitor import follow; follow(*sys.argv[1:])"


def run(*, seeds: int) -> Figures:
    """`identical`: 1 if the logs are equal byte for byte; `lost`: items missing from the journal, or there twice."""
    from apps.finance_monitor.journal import Journal

    with Progress() as progress, tempfile.TemporaryDirectory() as place:
        (models,) = Newsroom.trained(1, progress)
        folders = [Path(place) / name for name in ("whole", "cut")]
        for folder in folders:
            folder.mkdir()
        progress.stage("reading the feed without a kill")
        process = _until_ready(models, folders[0])
        started = time.monotonic()
        process.wait()
        seconds = time.monotonic() - started
        draw, killed = random.Random(13), 0
        while killed < KILLS:
            progress.stage(f"killed {killed} times")
            with _until_ready(models, folders[1]) as process:
                time.sleep(draw.uniform(0, 2 * seconds / KILLS))
                process.send_signal(signal.SIGKILL)
                if process.wait() == 0:
                    break
                killed += 1
        _until_ready(models, folders[1]).wait()
        logs = [(folder / "alerts.jsonl").read_bytes() for folder in folders]
        numbers = []
        for folder in folders:
            record = Journal(str(folder / "monitor.db"))
            with record.database.read() as connection:
                numbers.append(connection.exec_driver_sql("select count(*) from finance_items").scalar_one())
            record.close()
    return Figures(
        {"identical": float(logs[0] == logs[1]), "lost": float(abs(numbers[0] - numbers[1]))},
        {},
        {"seeds": 1, "kills": killed, "items": numbers[0], "changes": logs[0].count(b"\n")},
    )


def follow(folder: str, *versions: str) -> None:
    """What each process does: read the feed to its end, its state in the folder."""
    from apps.finance_monitor.feeds.file import File
    from apps.finance_monitor.run import monitor

    place = Path(folder)
    models = newsroom.models([Path(one) for one in versions])
    print("ready", flush=True)
    monitor(
        [File(str(find("data/finance/news.jsonl")))],
        models,
        log=place / "alerts.jsonl",
        dead_letters=place / "dead.jsonl",
        state=str(place / "monitor.db"),
    )


def _until_ready(of: Newsroom, folder: Path) -> subprocess.Popen[str]:
    """A process that has loaded its models."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), *map(str, of.folders)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    if process.stdout.readline() != "ready\n":
        raise RuntimeError("the monitor did not start; its message stands above")
    return process
