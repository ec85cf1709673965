"""Plots of a backtest, as SVG whose texts stay texts: a browser has the letters that matplotlib's own font lacks."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import Any

from apps.finance_monitor.alert import Alert
from apps.finance_monitor.backtest import Event
from apps.finance_monitor.trial import Trial
from apps.finance_monitor.windows import STEP, Key

AROUND = timedelta(hours=12)
"""Shown before an event and after it."""
ROWS = 30
"""Keys of an overview; those with the most alarms."""
INK, SURGE, DECOY, FOUND, FALSE = "#2864b4", "#f2c46d", "#c9d1da", "#187a4c", "#c2410c"
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "keel",  # the same plot has the same bytes
    "text.parse_math": False,  # a ticker's $ is a dollar
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def overview(trial: Trial, events: Sequence[Event]) -> str:
    """The whole history: a row a key, its events as bars, its alarms as marks."""
    alerts: dict[Key, list[Alert]] = {event.key: [] for event in events}
    for alert in trial.course.alerts:
        alerts.setdefault(alert.key, []).append(alert)
    keys = sorted(alerts, key=lambda key: (key not in {event.key for event in events}, -len(alerts[key]), key))[:ROWS]
    with _figure(9.6, 0.9 + 0.32 * max(1, len(keys))) as (figure, drawn):
        axes = figure.subplots()
        for row, key in enumerate(keys):
            for event in (one for one in events if one.key == key):
                _bar(axes, event, row - 0.35, row + 0.35)
            for alert in alerts[key]:
                axes.plot([alert.opened], [row], marker="v", color=_colour(trial, alert), markersize=7)
        axes.set_yticks(range(len(keys)), [f"{key.type} {key.value}" for key in keys])
        axes.set_ylim(len(keys) - 0.4, -0.6)
        axes.set_xlim(trial.course.steps[0], trial.course.steps[-1])
        _dates(axes)
    return drawn[0]


def around(trial: Trial, event: Event) -> str:
    """Half a day on both sides of an event: its key's negative stories in each window, and its alarms from opening to
    end."""
    start, end = event.start - AROUND, event.end + AROUND
    counts = [own for key, own in trial.course.counts.items() if _same(event, key)]
    steps = [step for step in trial.course.steps if start <= step <= end]
    heights = [max((own.get(step, 0) for own in counts), default=0) for step in steps]
    with _figure(9.6, 1.9) as (figure, drawn):
        axes = figure.subplots()
        top = max([1, *heights])
        _bar(axes, event, 0, 1.25 * top)
        axes.step(steps, heights, where="pre", color=INK, linewidth=1.4)
        for alert in trial.course.alerts:
            if alert.opened > end or (alert.closed or trial.course.steps[-1]) < start:
                continue
            if any(event.concerns(key) for key in alert.keys):
                colour = _colour(trial, alert)
                last = alert.closed or trial.course.steps[-1]
                axes.hlines(1.12 * top, alert.opened, last, colors=colour, linewidth=3)
                axes.plot([alert.opened], [1.12 * top], marker="v", color=colour, markersize=7)
        axes.set_xlim(start, end)
        axes.set_ylim(0, 1.25 * top)
        axes.set_ylabel("negative stories")
        axes.locator_params(axis="y", integer=True, nbins=4)
        _dates(axes)
    return drawn[0]


def curve(trials: Sequence[Trial]) -> str:
    """Recall, precision and delay over the budget, and the false alarms that it bought."""
    from matplotlib.ticker import FormatStrFormatter

    budgets = [one.budget for one in trials]
    scores = [one.score for one in trials if one.score]
    with _figure(9.6, 2.8) as (figure, drawn):
        left, right = figure.subplots(1, 2)
        right.plot(budgets, [one.alarms.a_day for one in trials], marker="o", color=INK, label="alarms a day")
        if scores:
            left.plot(budgets, [one.recall for one in scores], marker="o", color=FOUND, label="recall")
            left.plot(budgets, [one.precision for one in scores], marker="s", color=INK, label="precision")
            delays = [one.mean_delay_windows for one in scores]
            left.plot(budgets, delays, marker="^", color=FALSE, label="mean delay, windows")
            rates = [one.false_alarms(one.score) for one in trials if one.score]
            right.plot(budgets, [rate.a_day for rate in rates], marker="s", color=FALSE, label="false alarms a day")
            low, high = zip(*(rate.interval for rate in rates), strict=True)
            right.fill_between(budgets, low, high, color=FALSE, alpha=0.15, linewidth=0)
            left.legend(frameon=False)
        else:
            left.set_axis_off()
        right.plot(budgets, budgets, color=DECOY, linestyle="--", label="budget")
        right.set_yscale("symlog", linthresh=0.1)
        right.set_ylim(bottom=0)
        right.legend(frameon=False)
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_xlabel("budget of false alarms a day")
        for axis in (left.xaxis, right.xaxis, right.yaxis):  # powers of ten would be written as formulas
            axis.set_major_formatter(FormatStrFormatter("%g"))
    return drawn[0]


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Any, list[str]]]:
    """A figure of so many inches; at the end its SVG, to stand in a page, is in the list.

    Figures are untyped here: matplotlib's stubs take no times.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    drawn: list[str] = []
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")  # the browser's fonts draw it
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, drawn
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn.append(re.sub(r"^.*?(?=<svg)", "", written.getvalue(), flags=re.DOTALL))


def _bar(axes: Any, event: Event, low: float, high: float) -> None:
    ends: Any = [event.start, max(event.end, event.start + STEP)]
    axes.fill_between(ends, low, high, color=SURGE if event.kind == "surge" else DECOY, linewidth=0)


def _colour(trial: Trial, alert: Alert) -> str:
    false = trial.score.false_alarms if trial.score else ()
    return FALSE if any(alert is one for one in false) else FOUND


def _same(event: Event, key: Key) -> bool:
    return key.type == "all" if event.key.type == "all" else event.concerns(key)


def _dates(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
