"""Dashboard: what a run finds, on a terminal while it goes on: trends, alerts that fire, throughput, what is wrong."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING

from apps.finance_monitor.windows import ALL

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from apps.finance_monitor.pulse import Pulse
    from apps.finance_monitor.windows import Key

STEPS = 96
"""Steps kept of each key: a day."""
TRENDS, ALERTS, HEADLINES = 10, 4, 2
SECONDS = 10.0
"""Over which throughput is measured."""
STYLES = {"critical": "bold red", "warning": "bold yellow", "info": "bold blue"}
_BARS = "▁▂▃▄▅▆▇█"


class Dashboard:
    """Drawn while it is entered; `take` tells it of each chunk.

    Args:
        waiting: gives at an event time: sink -> changes that it waits for.
        clock: seconds, growing.
    """

    def __init__(
        self,
        console: Console,
        *,
        waiting: Callable[[datetime | None], dict[str, int]] = lambda now: {},
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from rich.live import Live

        self._console = console
        self._waiting = waiting
        self._clock = clock
        self._pulse: Pulse | None = None
        self._steps: dict[Key, deque[tuple[datetime, int, int]]] = {}
        self._rates: deque[tuple[float, int]] = deque()
        self._live = Live(console=console, get_renderable=self.drawn, refresh_per_second=4, screen=True)

    def __enter__(self) -> Dashboard:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def take(self, pulse: Pulse) -> None:
        now = self._clock()
        self._rates.append((now, pulse.labelled))
        while self._rates[0][0] < now - SECONDS:
            self._rates.popleft()
        for point in pulse.points:
            steps = self._steps.setdefault(point.key, deque(maxlen=STEPS))
            steps.append((point.time, point.stories, point.negative))
        if pulse.points:
            since = pulse.points[-1].time - timedelta(days=1)
            self._steps = {key: steps for key, steps in self._steps.items() if steps[-1][0] > since}
        self._pulse = pulse  # last, and whole: another thread draws

    def drawn(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        pulse = self._pulse
        if pulse is None:
            return Text("waiting for news")
        return Group(self._figures(pulse), Text(), self._trends(), Text(), *self._alerts(pulse))

    def _figures(self, pulse: Pulse) -> RenderableType:
        from rich.text import Text

        spent = max(1.0, self._clock() - self._rates[0][0]) if self._rates else 1.0
        rate = sum(count for _, count in self._rates) / spent
        lag = f"{_span(datetime.now(UTC) - pulse.event)} behind the clock" if pulse.event else "no news yet"
        line = Text(f"{pulse.items:,} items  {rate:,.0f}/s  {lag}", style="bold")
        wrong = {"late": pulse.late, "twice": pulse.duplicates, "dead letters": pulse.dead}
        line.append("\n" + "  ".join(f"{count:,} {name}" for name, count in wrong.items()), style="not bold")
        for sink, count in self._waiting(pulse.event).items():
            if count:
                line.append(f"\n{sink} has {count:,} to be told", style="not bold yellow")
        return line

    def _trends(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        width = max(8, min(STEPS // 2, self._console.width - 46))
        table = Table(box=None, padding=(0, 1), pad_edge=False, expand=False)
        table.add_column("negative stories, a day", width=24, no_wrap=True, overflow="ellipsis")
        table.add_column("", width=width, no_wrap=True)
        table.add_column("negative", justify="right", width=8)
        table.add_column("stories", justify="right", width=8)
        totals = {
            key: (sum(step[2] for step in steps), sum(step[1] for step in steps)) for key, steps in self._steps.items()
        }
        longest = max(map(len, self._steps.values()), default=0)
        for key in sorted(totals, key=lambda key: (key != ALL, [-total for total in totals[key]], key))[:TRENDS]:
            negative, stories = totals[key]
            name = "all news" if key == ALL else key.value
            counts = [step[2] for step in self._steps[key]]
            line = sparkline([0] * (longest - len(counts)) + counts, width)
            table.add_row(Text(name), Text(line, style="red"), str(negative), str(stories))
        return table

    def _alerts(self, pulse: Pulse) -> Iterator[RenderableType]:
        from rich.text import Text

        firing = sorted(pulse.firing, key=lambda alert: (list(STYLES).index(alert["severity"]), alert["opened"]))
        yield Text(f"{len(firing)} firing" if firing else "nothing fires", style="bold")
        if pulse.pending:
            names = (f"{key.value} (p = {p:.0e})" for key, p in sorted(pulse.pending.items(), key=lambda one: one[1]))
            yield Text(f"may be about to: {', '.join(names)}", style="yellow", no_wrap=True, overflow="ellipsis")
        for alert in firing[:ALERTS]:
            line = Text(no_wrap=True, overflow="ellipsis")
            line.append(f"{alert['severity'].upper()} {alert['key']['value']}", style=STYLES[alert["severity"]])
            line.append(
                f"  {alert['observed']} stories, {alert['expected']:.2g} expected, since {alert['opened'][11:16]}"
            )
            for mention in alert["evidence"][-HEADLINES:]:
                line.append(f"\n  {mention['title']}", style="dim")
            yield line


def sparkline(values: list[int], width: int) -> str:
    """One character a value, or a sum of neighbours where there are more values than `width`."""
    each = -(-len(values) // width) if values else 1
    sums = [sum(values[at : at + each]) for at in range(0, len(values), each)]
    most = max(sums, default=0)
    return "".join(_BARS[round(value / most * (len(_BARS) - 1))] if most else _BARS[0] for value in sums)


def _span(lag: timedelta) -> str:
    seconds = max(0, int(lag.total_seconds()))
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
