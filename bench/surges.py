"""Surges of Keel's own feed, and of twenty simulations of it with other times and surges."""

from __future__ import annotations

import numpy as np

from apps.finance_monitor import backtest
from apps.finance_monitor.alarms import BUDGET
from apps.finance_monitor.rate import Rate
from bench import streams
from bench.contract import Figures
from engine import Progress

SIMULATIONS = 20


def run(*, seeds: int) -> Figures:
    """Over all streams together; the interval of false alarms is that of a Poisson count."""
    with Progress() as progress:
        parts = streams.cut(progress)
        made = [parts.whole(), *(parts.moved(seed) for seed in range(SIMULATIONS))]
        scores = []
        for number, stream in enumerate(made, 1):
            progress.stage(f"stream {number} of {len(made)}")
            scores.append(backtest.score(stream.alerts(BUDGET), stream.events))
    found, missed = sum(len(one.found) for one in scores), sum(len(one.missed) for one in scores)
    delays = [delay for one in scores for delay in one.delays]
    false = Rate(sum(len(one.false_alarms) for one in scores), len(made) * streams.DAYS)
    return Figures(
        {
            "recall": found / (found + missed),
            "mean_delay_windows": float(np.mean(delays)),
            "false_alarms_per_day": false.a_day,
        },
        {"false_alarms_per_day": false.interval},
        {
            "seeds": 1,
            "streams": len(made),
            "budget": BUDGET,
            "max_delay_windows": max(delays),
            "own_feed": {"missed": [event.name for event in scores[0].missed], "false": len(scores[0].false_alarms)},
        },
    )
