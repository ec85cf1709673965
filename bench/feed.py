"""Planted surges and decoys in `data/finance/news.jsonl`, by models of several seeds."""

from __future__ import annotations

from bench.contract import Figures
from bench.newsroom import Newsroom
from engine import Progress
from engine.resources import find


def run(*, seeds: int) -> Figures:
    """The worst of the seeds: smallest recall, largest delay, most false alarms."""
    from apps.finance_monitor import backtest
    from apps.finance_monitor.alarms import BUDGET
    from apps.finance_monitor.feeds.file import File
    from apps.finance_monitor.history import History
    from apps.finance_monitor.watchlist import WatchList

    events = backtest.events(find("data/finance/news.events.jsonl"))
    scores = []
    with Progress() as progress:
        for newsroom in Newsroom.trained(seeds, progress):
            progress.stage(f"monitoring with {newsroom.news}")
            feed = File(str(find("data/finance/news.jsonl")))
            history = History.read([feed], newsroom.models(), WatchList(), None)
            scores.append(backtest.score(history.replay(BUDGET).alerts, events))
    figures = {
        "recall": min(score.recall for score in scores),
        "max_delay_windows": max(score.max_delay_windows for score in scores),
        "false_alarms": float(max(len(score.false_alarms) for score in scores)),
    }
    false = [
        f"{alert.key.type} {alert.key.value} {alert.opened:%d %H:%M}"
        for score in scores
        for alert in score.false_alarms
    ]
    return Figures(
        figures,
        settings={
            "seeds": seeds,
            "missed": [[event.name for event in score.missed] for score in scores],
            "false": false,
        },
    )
