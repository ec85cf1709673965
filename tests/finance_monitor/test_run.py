"""The whole run over several feeds: it is that of one feed with all their news."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.finance_monitor import summary, tables, undelivered
from apps.finance_monitor.feeds import named
from apps.finance_monitor.mapping import Mapping
from apps.finance_monitor.run import Result, monitor
from apps.finance_monitor.sinks import Refused
from tests.finance_monitor.test_feed import line
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


def test_what_is_held_for_later_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    feed = Path("news.jsonl")
    feed.write_text(line(1))
    for number, held in ((2, "1 item is held"), (3, "2 items are held")):
        summary.show(run("news.jsonl", state="monitor.db", log="log"))
        shown = capsys.readouterr().out.replace("\n", " ")
        assert "0 items telling 0 stories" in shown
        assert held in shown
        feed.write_text(feed.read_text() + line(number))
    summary.show(monitor([named("news.jsonl")], models()))
    assert "held" not in capsys.readouterr().out


def test_canceled_ninjs_end_the_alert_that_stood_on_them_though_all_bear_the_day_of_their_draft(tmp_path: Path) -> None:
    feed(tmp_path / "news.jsonl")
    found = []
    for row in map(json.loads, filter(lambda one: "{" in one, Path("news.jsonl").read_text().splitlines()[:360])):
        made = {"uri": row["id"], "version": 1, "firstcreated": "2026-03-01T00:00:00Z", "headline": row["title"]}
        found.append(made | {"versioncreated": row["published"]})
        if "attack" in row["title"]:
            time = datetime.fromisoformat(row["published"])
            for minutes, more in ((2, {"version": 2}), (40, {"version": 2, "pubstatus": "canceled"})):
                found.append(made | {"versioncreated": (time + timedelta(minutes=minutes)).isoformat()} | more)
    found.sort(key=lambda one: datetime.fromisoformat(str(one["versioncreated"])))
    Path("ninjs.jsonl").write_text("".join(json.dumps(one) + "\n" for one in found))
    source = named("ninjs.jsonl", mapping=Mapping.load("ninjs"))
    result = monitor([source], models(), state="monitor.db", lateness=timedelta(minutes=10))
    (alert,) = result.alerts.values()
    assert (alert["reason"], alert["evidence"], result.arrivals.late) == ("retracted", [], 0)
    assert len(alert["corrected"]) > 40
