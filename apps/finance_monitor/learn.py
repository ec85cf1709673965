"""Learn: the models that the monitor reads with, out of Keel's own labelled headlines.

headlines ───────────────────────────────> finance-news
headlines, contrasts ─> who stands where ─> finance-names
headlines in twos and threes, contrasts ──> finance-company (tuned on from finance-news)
"""

from __future__ import annotations

import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.finance_monitor.towards import asked
from apps.finance_monitor.watchlist import Span
from engine import Progress, Recipe, Store, packaged, train

NEWS, NAMES, COMPANY = "finance-news", "finance-names", "finance-company"
RECIPES = {
    NEWS: "recipes/finance_news.yaml",
    NAMES: "recipes/finance_names.yaml",
    COMPANY: "recipes/finance_company.yaml",
}
FILES = ("headlines.jsonl", "contrasts.jsonl")
LINKS = ("; ", ". ", ", while ", ", but ", " as ", ", whereas ", " and ", " even as ", ", ", " - ")
"""Between two headlines that are made one."""
TOGETHER, JOINED = 4, 3
"""Stories that are joined with one another, and so stay on one side of a split; joined headlines that they give."""
CONTRASTS = 2
"""Times that each headline of opposite news is shown: there are few."""


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


def learn(progress: Progress, *, base: str = "minilm", again: bool = False) -> dict[str, str]:
    """Train what the store has not yet, or `again` all of it; the new versions become champions.

    Returns:
        Name -> version, of the models that were trained.
    """
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, recipe) in enumerate(RECIPES.items(), 1):
            if Store().has(name) and not again:
                progress.stage(f"{number} of {len(RECIPES)}: {name} is there")
                continue
            progress.stage(f"{number} of {len(RECIPES)}: training {name}")
            settings = rows(name, Path(folder))
            if name != COMPANY:  # it goes on from finance-news
                settings.append(f"base={base}")
            made[name] = str(train(Recipe.load(recipe, settings), promote=True, watcher=progress).version)
    return made


def rows(name: str, folder: Path) -> list[str]:
    """What a recipe must be told: the file of its rows, which are written into the folder."""
    if name == NEWS:
        return []
    given = names_rows(headlines()) if name == NAMES else company_rows(headlines(FILES[:1]), headlines(FILES[1:]))
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in given), "utf-8")
    return [f"data.train={file}"]


def headlines(files: Iterable[str] = FILES) -> list[Headline]:
    """Keel's English headlines; left out are those that name a company otherwise than their label does."""
    found = []
    for file in files:
        for line in (packaged() / "data" / "finance" / file).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            companies = tuple((one["name"], one["sentiment"]) for one in row["companies"])
            if row["lang"] == "en" and all(name in row["title"] for name, _ in companies):
                found.append(Headline(row["title"], row["story"], companies))
    return found


def names_rows(given: Iterable[Headline]) -> Iterator[dict[str, Any]]:
    """Rows of a tagger: where companies stand."""
    for one in given:
        entities = [{"start": span.start, "end": span.end, "label": "company"} for span in one.spans]
        yield {"text": one.title, "entities": entities, "story": one.story}


def company_rows(given: Iterable[Headline], contrasts: Iterable[Headline]) -> Iterator[dict[str, str]]:
    """Rows of a model of sentiment towards a company.

    Few headlines tell of two companies, and a model could do without reading which is asked about. So headlines of
    unlike sentiment are joined to one, of which both companies are asked.
    """
    stories: dict[str, list[Headline]] = defaultdict(list)
    for one in given:
        if one.companies:
            stories[one.story].append(one)
    draw = random.Random(13)
    order = sorted(stories)
    draw.shuffle(order)
    for start in range(0, len(order), TOGETHER):
        group = [stories[name] for name in order[start : start + TOGETHER]]
        shown = [tellings[0] for tellings in group]
        if len(group) > 1:
            shown += _joined(group, draw)
        for one in shown:
            yield from _asked(one, f"together-{start}")
    for one in contrasts:
        for row in _asked(one, one.story):
            yield from [row] * CONTRASTS


def _joined(group: list[list[Headline]], draw: random.Random) -> list[Headline]:
    found: list[Headline] = []
    for _ in range(10 * JOINED):
        one, other = (draw.choice(tellings) for tellings in draw.sample(group, 2))
        both = (*one.companies, *other.companies)
        if len(found) < JOINED and len(both) == 2 and len(dict(both)) == 2 and both[0][1] != both[1][1]:
            found.append(Headline(one.title.rstrip(" .") + draw.choice(LINKS) + other.title, "", both))
    return found


def _asked(one: Headline, group: str) -> Iterator[dict[str, str]]:
    for name, sentiment in one.companies:
        title, company = asked(one.title, name, one.spans)
        yield {"title": title, "company": company, "sentiment": sentiment, "story": group}
