"""Planted surges and decoys in `data/finance/news.jsonl`, by models of several seeds."""

from __future__ import annotations

from bench.contract import Figures
from bench.seeds import trained
from engine import Progress, Recipe, load
from engine.resources import find
from engine.store import Store


def run(*, seeds: int) -> Figures:
    """The worst of the seeds: smallest recall, largest delay, most false alarms."""
    from apps.finance_monitor import backtest
    from apps.finance_monitor.alarms import BUDGET
    from apps.finance_monitor.feeds.file import File
    from apps.finance_monitor.history import History
    from apps.finance_monitor.labels import encoder
    from apps.finance_monitor.run import Models
    from apps.finance_monitor.watchlist import WatchList

    events = backtest.events(find("data/finance/news.events.jsonl"))
    scores = []
    with Progress() as progress:
        for version in trained(Recipe.load("recipes/finance_news.yaml"), seeds, progress):
            progress.stage(f"monitoring with {version}")
            models = Models([load(str(version), store=Store(version.folder.parents[1]))], encoder())
            history = History.read([File(str(find("data/finance/news.jsonl")))], models, WatchList(), None)
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
