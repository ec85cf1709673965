"""Dead letters: whole, each once, and none of another run is lost, whoever is killed while writing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.finance_monitor import options, tables
from apps.finance_monitor.feeds import named
from apps.finance_monitor.feeds.pushed import Pushed
from apps.finance_monitor.inbox import Inbox
from apps.finance_monitor.items import MAX_LINE, DeadLetter
from apps.finance_monitor.letters import Letters
from apps.finance_monitor.run import Result, monitor
from tests.finance_monitor.test_feed import line
from tests.finance_monitor.words import models

TOLD = [json.dumps({"line": number, "text": "涨" * number}, ensure_ascii=False) for number in range(6)]


def written(path: Path, *parts: list[str]) -> bytes:
    letters = Letters(path, parts[0])
    for part in parts[1:]:
        letters.write(part)
    letters.close()
    assert letters.count == sum(map(len, parts))
    return path.read_bytes()


@given(st.integers(0, 200), st.integers(0, 5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_a_kill_cut_off_anywhere_is_made_whole(tmp_path: Path, end: int, kept: int) -> None:
    path = tmp_path / "dead.jsonl"
    path.unlink(missing_ok=True)
    whole = written(path, TOLD)
    path.write_bytes(whole[:end])
    assert written(path, TOLD[:kept], TOLD[kept:]) == whole
    path.write_bytes(other := b'{"of": "another"}\n' + whole[:end])
    found = written(path, TOLD).splitlines()
    assert found[0] == other.splitlines()[0]
    assert found[-6:] == whole.splitlines()


def test_what_another_run_was_writing_stays(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    path.write_text('{"of": "ano')
    assert written(path, TOLD[:2]).splitlines() == [b'{"of": "ano', *(one.encode() for one in TOLD[:2])]
    Letters(path).close()
    Letters(None, TOLD).close()
    Letters(tmp_path / "none.jsonl").close()
    assert not (tmp_path / "none.jsonl").exists()


def test_runs_that_share_a_file_keep_each_others_letters_and_repeat_none() -> None:
    def run(feed: str, state: str | None = None) -> Result:
        return monitor([named(feed)], models(), state=state, dead_letters=Path("dead.jsonl"))

    for name in "abc":
        Path(f"{name}.jsonl").write_text(line(0) + f"no news of {name}\n")
    for state in ("a.db", "b.db", None, "a.db", "b.db", None):
        found = run(f"{state[0] if state else 'c'}.jsonl", state)
        assert found.dead == 1
    letters = [json.loads(one) for one in Path("dead.jsonl").read_text().splitlines()]
    assert [(Path(one["file"]).name, one["text"]) for one in letters] == [
        (f"{name}.jsonl", f"no news of {name}\n") for name in "abc"
    ]


def test_what_was_pushed_is_kept_whole(tmp_path: Path) -> None:
    raw = line(1, published="yesterday", body="x" * 20_000).encode()
    database = tables.opened(str(tmp_path / "monitor.db"))
    inbox = Inbox(database)
    inbox.put([raw, b"[" + b"1" * MAX_LINE])
    found = [entry.found for entry, _ in zip(Pushed(inbox).entries(None), range(2), strict=False) if entry]
    assert all(isinstance(one, DeadLetter) for one in found)
    pushed, long = (one.text for one in found if isinstance(one, DeadLetter))
    assert json.loads(pushed)["body"] == "x" * 20_000
    assert len(long) == MAX_LINE
    database.close()


@pytest.mark.parametrize(
    ("state", "path"),
    [
        (None, "dead_letters.jsonl"),
        ("desk/monitor.db", "desk/monitor.db.dead_letters.jsonl"),
        ("sqlite:////data/monitor.db", "/data/monitor.db.dead_letters.jsonl"),
        ("postgresql+psycopg://host/news", "dead_letters.jsonl"),
    ],
)
def test_each_state_has_its_own_file_beside_it(state: str | None, path: str) -> None:
    assert options.dead_letters(None, state) == Path(path)
    assert options.dead_letters(Path("mine"), state) == Path("mine")
