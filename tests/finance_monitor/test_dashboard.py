"""The dashboard, drawn as a terminal of 80 columns would show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

from rich.cells import cell_len
from rich.console import Console

from apps.finance_monitor.dashboard import Dashboard, sparkline
from apps.finance_monitor.pulse import Pulse
from apps.finance_monitor.series import Point
from apps.finance_monitor.windows import ALL, Key

START = datetime(2026, 3, 2, tzinfo=UTC)
BANK = Key("company", "中国工商银行股份有限公司北京市海淀区分行")
ALERT = {
    "key": {"type": "company", "value": BANK.value},
    "severity": "critical",
    "observed": 9,
    "expected": 0.2,
    "opened": "2026-03-02T10:00:00Z",
    "evidence": [{"id": "1", "title": "[red]储户[/red]排队取款，" + "银行" * 40}],
}


def pulse(steps: int, **more: Any) -> Pulse:
    points = [
        Point(START + step * timedelta(minutes=15), key, 4, step % 4, 0.5)
        for step in range(steps)
        for key in (BANK, Key("topic", "liquidity"), ALL)
    ]
    values: dict[str, Any] = {"items": 12_345, "late": 2, "duplicates": 3, "dead": 1, "event": START, "received": None}
    return Pulse(
        **{
            **values,
            "labelled": 64,
            "seconds": 0.5,
            "firing": [ALERT],
            "pending": {BANK: 2e-4},
            "points": points,
            **more,
        }
    )


def drawn(board: Dashboard, console: Console) -> list[str]:
    with console.capture() as capture:
        console.print(board.drawn())
    return capture.get().splitlines()


def test_it_shows_trends_alerts_throughput_and_what_is_wrong_in_80_columns() -> None:
    console, ticks = Console(width=80, file=StringIO()), iter(range(0, 100, 2))
    board = Dashboard(console, waiting=lambda now: {"webhook desk": 4, "slack": 0}, clock=lambda: next(ticks))
    assert drawn(board, console) == ["waiting for news"]
    board.take(pulse(200))
    board.take(pulse(0))
    lines = drawn(board, console)
    assert max(map(cell_len, lines)) <= 80
    text = "\n".join(lines)
    for piece in ("12,345 items  32/s", "behind the clock", "2 late  3 twice  1 dead letters"):
        assert piece in text
    assert "webhook desk has 4 to be told" in text
    assert "slack" not in text
    assert "may be about to: 中国工商银行" in text
    assert "CRITICAL 中国工商银行" in text
    assert "[red]储户[/red]" in text  # a title is text, not markup
    trends = [line for line in lines if line.startswith(("all news", "liquidity", "中国"))]
    assert [line.split()[-2:] for line in trends] == [["144", "384"]] * 3  # the last day's
    assert trends[0].startswith("all news")
    places = {cell_len(line[: line.index("█")]) for line in trends}
    assert len(places) == 1  # wide characters do not push the columns apart


def test_a_key_that_nobody_tells_of_any_more_is_forgotten() -> None:
    board = Dashboard(Console(width=80, file=StringIO()))
    board.take(pulse(4))
    board.take(pulse(0, points=[Point(START + timedelta(days=3), ALL, 1, 0, 0.1)]))
    assert list(board._steps) == [ALL]


def test_a_sparkline_has_its_width_and_its_highest_bar_at_the_most() -> None:
    assert sparkline([0, 1, 4, 2], 10) == "▁▃█▅"
    assert sparkline([0] * 5, 10) == "▁" * 5
    line = sparkline(list(range(96)), 40)
    assert len(line) <= 40
    assert line[-1] == "█"
