"""The whole run over several feeds: it is that of one feed with all their news."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.finance_monitor import summary, tables, undelivered
from apps.finance_monitor.feeds import named
from apps.finance_monitor.run import Result, monitor
from apps.finance_monitor.sinks import Refused
from tests.finance_monitor.words import counted, models
from tests.system.test_monitor_killed import ITEMS, feed


def run(*feeds: str, state: str, log: str) -> Result:
    sources = [named(one) for one in feeds]
    return monitor(sources, models(), state=state, log=Path(log), lateness=timedelta(minutes=10))


def test_news_dealt_out_among_feeds_raise_the_alerts_of_one_and_each_feed_goes_on_where_it_was(tmp_path: Path) -> None:
    feed(tmp_path / "whole.jsonl")
    one = run("whole.jsonl", state="whole.db", log="whole.log")
    whole = Path("whole.log").read_bytes()
    assert whole.count(b"\n") >= 4
    lines = (tmp_path / "whole.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    names = ["desk.jsonl", "news-0.jsonl", "news-1.jsonl"]
    for start, end in ((0, 400), (400, len(lines))):
        for number, name in enumerate(names):
            with Path(name).open("a", encoding="utf-8") as stream:
                stream.writelines(lines[start:end][number::3])
        found = run("desk.jsonl", "news-*.jsonl", state="parts.db", log="parts.log")
    assert Path("parts.log").read_bytes() == whole
    assert (found.arrivals.late, found.arrivals.duplicates, found.dead) == (0, 0, 1)
    assert found.tally == one.tally
    for state in ("whole.db", "parts.db"):
        database = tables.opened(state)
        asked = counted(database, "words")
        assert asked.texts == ITEMS, "each title once, though the second run took some of them again"
        assert set(asked.bins("topics: label")) == set(one.tally.topics)
        database.close()


class Moody:
    """A sink that refuses its second message for good, once."""

    name = "desk"

    def __init__(self) -> None:
        self.tries: list[str] = []

    def send(self, message: str, alert: dict[str, Any]) -> None:
        self.tries.append(message)
        if len(self.tries) == 2:
            raise Refused("answered 400", final=True)


def test_a_run_says_what_it_gave_up_and_the_next_one_sends_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed(tmp_path / "news.jsonl")
    lines = (tmp_path / "news.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    Path("live.jsonl").write_text("".join(lines[:320]), encoding="utf-8")
    desk = Moody()
    first = monitor([named("live.jsonl")], models(), state="live.db", sinks=[desk])
    assert (first.given_up, len(desk.tries)) == ({"desk": 1}, 2)
    summary.show(first)
    assert "desk has refused 1 changes of alerts too often; finance-monitor resend" in capsys.readouterr().out
    database = tables.opened("live.db")
    with database.write() as connection:
        undelivered.send_again(connection)
    database.close()
    again = monitor([named("live.jsonl")], models(), state="live.db", sinks=[desk])
    assert (again.given_up, desk.tries[2:]) == ({}, desk.tries[1:2])
