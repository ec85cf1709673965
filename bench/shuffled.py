"""Fifty streams of 28 days without any event: every alarm is a false one."""

from __future__ import annotations

from apps.finance_monitor.alarms import BUDGET
from apps.finance_monitor.rate import Rate
from bench import streams
from bench.contract import Figures
from engine import Progress

STREAMS = 50


def run(*, seeds: int) -> Figures:
    """`upper_95`: the one-sided bound that the true rate stays below with 95% confidence, of a Poisson count."""
    with Progress() as progress:
        parts = streams.cut(progress)
        false = 0
        for number in range(STREAMS):
            progress.stage(f"stream {number + 1} of {STREAMS}: {false} false alarms so far")
            false += len(parts.dealt(number).alerts(BUDGET))
    rate = Rate(false, STREAMS * streams.DAYS)
    return Figures(
        {"false_alarms_per_day": rate.a_day, "upper_95": rate.upper},
        {},
        {"seeds": 1, "streams": STREAMS, "days": rate.days, "budget": BUDGET, "false_alarms": false},
    )
