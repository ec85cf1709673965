"""Newsroom: the models that `finance-monitor train` makes, in the benchmarks' own store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from apps.finance_monitor import learn
from apps.finance_monitor.cascade import Cascade
from apps.finance_monitor.labels import encoder
from apps.finance_monitor.repeats import Vectors
from apps.finance_monitor.run import Models
from bench.seeds import FIRST_SEED, trained
from engine import Progress, Recipe, Store, Version, load
from engine.resources import home


@dataclass(frozen=True)
class Newsroom:
    """
    Attributes:
        news: labels topics and sentiment and finds companies; `company` knows the sentiment towards one.
    """

    news: Version
    company: Version

    @classmethod
    def trained(cls, seeds: int, progress: Progress) -> Iterator[Newsroom]:
        """One a seed, each trained once."""
        data = home() / "bench" / "data"
        data.mkdir(parents=True, exist_ok=True)
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):

            def made(name: str, *settings: str, seed: int = seed) -> Version:
                recipe = Recipe.load(learn.RECIPES[name], [*learn.rows(name, data), *settings])
                return trained(recipe, 1, progress, first=seed)[0]

            news = made(learn.NEWS)
            yield cls(news, made(learn.COMPANY, f"base={news.folder / 'model'}"))

    @property
    def folders(self) -> list[Path]:
        return [one.folder for one in (self.news, self.company)]

    def models(self) -> Models:
        return models(self.folders)


def models(folders: list[Path]) -> Models:
    """As `finance-monitor` loads them, from the folders of a newsroom's versions."""
    news, company = (load(f"{one.parent.name}@{one.name}", store=Store(one.parents[1])) for one in map(Path, folders))
    return Models([Cascade(news)], Vectors(encoder()), company)
