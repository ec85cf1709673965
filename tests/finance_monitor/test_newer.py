"""Models that are promoted while the monitor runs: taken between two chunks, or refused, and alerts name those they
are of."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.learn import NEWS
from apps.finance_monitor.newer import Newer, promoted
from apps.finance_monitor.run import Models, monitor
from engine import Store, Version
from tests.finance_monitor.words import Words, models

START = datetime(2026, 3, 2, tzinfo=UTC)
WAIT_S = 30.0


def labelling(model: str) -> Models:
    words = Words()
    words.model = model
    return Models(cast(Any, [words]), cast(Any, Words()))


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_an_alert_names_the_models_that_answered_as_it_opened(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    usual = [(12 * number, f"usual report {number} of the day") for number in range(600)]
    surges = [(at + 3 * n, f"attack {n} {at} on the firm") for at in (3600, 6000) for n in range(20)]
    lines = [
        json.dumps({"id": f"n{at}-{title}", "published": (START + timedelta(minutes=at)).isoformat(), "title": title})
        for at, title in sorted(usual + surges)
    ]
    feed.write_text("\n".join(lines), encoding="utf-8")
    chunks = []

    def newer() -> Models | None:
        chunks.append(None)
        return labelling("others") if len(chunks) == 7 else None

    log = tmp_path / "alerts.jsonl"
    monitor([File(str(feed))], models(), newer=newer, state=str(tmp_path / "monitor.db"), log=log)
    told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    named = [(one["opened"], one["model"]["name"]) for one in told]
    assert {name for _, name in named} == {"words", "others"}
    assert [name for _, name in sorted(named)] == sorted((name for _, name in named), reverse=True)


def stored(store: Store) -> Version:
    with store.staging(NEWS) as place:
        (place / "model.bin").write_text("weights", encoding="utf-8")
        return store.commit(NEWS, place, {})


def test_what_is_promoted_waits_to_be_taken_once_and_what_is_broken_is_refused(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    first, second, broken = (stored(store) for _ in range(3))
    store.promote(first)
    newer = Newer(labelling(str(first)), lambda: labelling(promoted()), every_s=0.01)
    watch = threading.Thread(target=newer.watch)
    watch.start()
    try:
        store.promote(second)
        taken: list[Models] = []
        until(lambda: taken.extend(filter(None, [newer.take()])) or taken)
        assert taken[0].champions[0].model == str(second)
        (broken.folder / "model.bin").unlink()
        store.promote(broken)
        until(lambda: [one for one in caplog.records if one.levelno == logging.ERROR])
        assert caplog.messages[-1].startswith(f"{broken} is not taken, {second} answers on: ")
        assert newer.take() is None
    finally:
        newer.close()
        watch.join()
