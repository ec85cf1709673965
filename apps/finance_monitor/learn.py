"""Learn: the models that the monitor reads with, out of Keel's own labelled headlines.

headlines, contrasts ────────────> finance-news
contrasts ─> who is asked about ─> finance-company (tuned on from finance-news, so others test it: opposites)
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from apps.finance_monitor.lines import replace
from apps.finance_monitor.towards import asked
from apps.finance_monitor.watchlist import Span
from engine import Progress, Recipe, Store, packaged, train

NEWS, COMPANY = "finance-news", "finance-company"
RECIPES = {
    NEWS: "recipes/finance_news.yaml",
    COMPANY: "recipes/finance_company.yaml",
}
FILES = HEADLINES, CONTRASTS = "headlines.jsonl", "contrasts.jsonl"
OPPOSITES = "opposites.jsonl"
Item = TypeVar("Item")


@dataclass(frozen=True)
class Headline:
    """A labelled headline whose companies all stand in it by their names."""

    title: str
    story: str
    companies: tuple[tuple[str, str], ...]
    """Name, sentiment."""

    @property
    def spans(self) -> list[Span]:
        """Every place where a company's name stands, the longer name before one that it holds."""
        taken: list[Span] = []
        for name in sorted((name for name, _ in self.companies), key=len, reverse=True):
            start = self.title.find(name)
            while start >= 0:
                if all(start >= one.end or start + len(name) <= one.start for one in taken):
                    taken.append(Span(start, start + len(name), name))
                start = self.title.find(name, start + 1)
        return sorted(taken, key=lambda one: one.start)


def learn(progress: Progress, *, base: str = "minilm", again: bool = False, most: int | None = None) -> dict[str, str]:
    """Train what the store has not yet, or `again` all of it; the new versions become champions.

    Args:
        most: headlines about several companies, drawn evenly, that teach; None: all.

    Returns:
        Name -> version, of the models that were trained.
    """
    made = {}
    folder = Store().root.parent / "finance-monitor"  # rows stay: `engine retrain` reads them again
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, recipe) in enumerate(RECIPES.items(), 1):
        if Store().has(name) and not again:
            progress.stage(f"{number} of {len(RECIPES)}: {name} is there")
            continue
        progress.stage(f"{number} of {len(RECIPES)}: training {name}")
        settings = rows(name, folder, most)
        if name != COMPANY:  # it goes on from finance-news
            settings.append(f"base={base}")
        made[name] = str(train(Recipe.load(recipe, settings), promote=True, watcher=progress).version)
    return made


def rows(name: str, folder: Path, most: int | None = None) -> list[str]:
    """What a recipe must be told: the files of its rows; what is not packaged is written into the folder."""
    few = "" if most is None else f"-{most}"
    if name == NEWS:
        contrasts = f"data/finance/{CONTRASTS}"
        if few:
            contrasts = str(folder / f"contrasts{few}.jsonl")
            replace(Path(contrasts), drawn(_lines(CONTRASTS), most))
        return [f"data.train={[f'data/finance/{HEADLINES}', contrasts]}"]
    given = {"train": drawn(headlines([CONTRASTS]), most), "test": headlines([OPPOSITES])}
    for part, those in given.items():
        lines = (json.dumps(row, ensure_ascii=False) for row in company_rows(those))
        replace(folder / f"{name}-{part}{few}.jsonl", lines)
    return [f"data.{part}={folder / f'{name}-{part}{few}.jsonl'}" for part in given]


def drawn(given: Sequence[Item], most: int | None) -> Sequence[Item]:
    """So many of what is given, evenly, the same at each call; None: all."""
    return given if most is None or most >= len(given) else random.Random(13).sample(given, most)


def _lines(file: str) -> list[str]:
    return (packaged() / "data" / "finance" / file).read_text(encoding="utf-8").splitlines()


def headlines(files: Iterable[str] = FILES) -> list[Headline]:
    """Keel's English headlines; left out are those that name a company otherwise than their label does."""
    found = []
    for file in files:
        for row in map(json.loads, _lines(file)):
            companies = tuple((one["name"], one["sentiment"]) for one in row["companies"])
            if row["lang"] == "en" and all(name in row["title"] for name, _ in companies):
                found.append(Headline(row["title"], row["story"], companies))
    return found


def company_rows(given: Iterable[Headline]) -> Iterator[dict[str, str]]:
    """Rows of a model of sentiment towards a company, one a company that a headline names."""
    for one in given:
        for name, sentiment in one.companies:
            title, company = asked(one.title, name, one.spans)
            yield {"title": title, "company": company, "sentiment": sentiment, "story": one.story}
