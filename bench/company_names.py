"""Names of companies in headlines that no training saw: the tagger against capital letters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from apps.finance_monitor import learn
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.labels import companies_named
from apps.finance_monitor.towards import Reader
from apps.finance_monitor.watchlist import WatchList
from bench.contract import Figures
from bench.newsroom import Newsroom
from engine import Predictor, Progress, packaged
from engine.evaluate.intervals import bootstrap

Names = frozenset[str]


def run(*, seeds: int) -> Figures:
    """F1 over a headline's distinct names, exact but for case: on the feed, and on headlines of opposite news."""
    with Progress() as progress:
        versions = [one.news for one in Newsroom.trained(seeds, progress)]
    figures, intervals = {}, {}
    for prefix, rows in (("", _feed()), ("opposites_", _opposites())):
        titles, truth = [title for title, _ in rows], [names for _, names in rows]
        found = {"name_f1": [_tagged(Predictor.open(one.folder), titles) for one in versions]}
        found["name_f1_capitals"] = [_capitals(titles)]
        for key, each in found.items():
            counts = [_counts(truth, names) for names in each]

            def f1(over: NDArray[np.intp], counts: list[NDArray[np.int64]] = counts) -> float:
                sums = [one[over].sum(axis=0) for one in counts]
                return float(np.mean([2 * hits / (given + real) for hits, given, real in sums]))

            value, low, high = bootstrap(f1, titles)
            figures[prefix + key], intervals[prefix + key] = value, (low, high)
    return Figures(figures, intervals, {"seeds": seeds})


def _counts(truth: Sequence[Names], found: Sequence[Names]) -> NDArray[np.int64]:
    """A row a headline: names found rightly, found, and there."""
    return np.array([(len(a & b), len(b), len(a)) for a, b in zip(truth, found, strict=True)])


def _tagged(model: Predictor, titles: Sequence[str]) -> list[Names]:
    reader = Reader(WatchList(), None)
    found = [
        reader.spans(title, companies_named(said)) for title, said in zip(titles, model.predict(titles), strict=True)
    ]
    return [frozenset(span.name.casefold() for span in each) for each in found]


def _capitals(titles: Sequence[str]) -> list[Names]:
    companies, now = Companies(), datetime(2026, 3, 2, tzinfo=UTC)
    return [frozenset(name.casefold() for name in companies.find(title, (), now)) for title in titles]


def _feed() -> list[tuple[str, Names]]:
    """Items on a topic, in order of time, whose companies stand in them by their names."""
    folder = packaged() / "data" / "finance"
    items, labels = (
        [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
        for name in ("news.jsonl", "news.labels.jsonl")
    )
    found = []
    for item, label in zip(items, labels, strict=True):
        names = [company["name"] for company in label["companies"]]
        if label["topics"] and item["lang"] == "en" and all(name in item["title"] for name in names):
            found.append((item["title"], frozenset(name.casefold() for name in names)))
    return found


def _opposites() -> list[tuple[str, Names]]:
    return [
        (one.title, frozenset(name.casefold() for name, _ in one.companies))
        for one in learn.headlines([learn.OPPOSITES])
    ]
