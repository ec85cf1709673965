"""Planted leaks: copies of training rows put into the test rows of Keel's own data, a hundred of each kind."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from bench.contract import Figures
from engine import Recipe
from engine.data.leakage import find_leaks
from engine.data.rows import Row
from engine.data.sources import load
from engine.data.split import Parts, cut
from engine.tasks.heads import specs

PLANTED = 100


def run(*, seeds: int) -> Figures:
    """Share of the planted leaks found by kind, and share of clean test rows named; means over the seeds."""
    recipe = Recipe.load("recipes/finance_news.yaml")
    rows = load(recipe.data.train, recipe.data, specs(recipe.task)).rows
    everyday = sorted({word for row in rows for word in row.text.split() if word.isalpha() and word.islower()})
    totals: dict[str, float] = {}
    for seed in range(seeds):
        draw = random.Random(seed)
        clean = cut(rows, recipe.data.split.model_copy(update={"seed": seed}), stratify="sentiment")
        sources = draw.sample(clean.train, 4 * PLANTED)
        kinds = {
            "exact": [_planted(row, row.text, n) for n, row in enumerate(sources[:PLANTED])],
            "normalised": [
                _planted(row, _restyled(row.text, draw), n) for n, row in enumerate(sources[PLANTED : 2 * PLANTED])
            ],
            "near": [
                _planted(row, _reworded(row.text, draw, everyday), n)
                for n, row in enumerate(sources[2 * PLANTED : 3 * PLANTED])
            ],
            "group": [
                replace(
                    _planted(row, f"An unrelated sentence, number {n} of its kind, about {draw.choice(everyday)}", n),
                    group=row.group,
                )
                for n, row in enumerate(sources[3 * PLANTED :])
            ],
        }
        planted = [row for copies in kinds.values() for row in copies]
        parts = Parts(clean.train, clean.dev, clean.calibration, clean.test + planted)
        named = {id(leak.other) for leak in find_leaks(parts) if leak.other_part == "test"}
        named |= {id(leak.row) for leak in find_leaks(parts) if leak.part == "test"}
        for kind, copies in kinds.items():
            totals[kind] = totals.get(kind, 0.0) + sum(id(row) in named for row in copies) / PLANTED
        totals["false"] = totals.get("false", 0.0) + sum(id(row) in named for row in clean.test) / len(clean.test)
    mean = {kind: total / seeds for kind, total in totals.items()}
    figures = {
        "recall_exact": min(mean["exact"], mean["normalised"]),
        "recall_near": mean["near"],
        "recall_group": mean["group"],
        "false_pair_rate": mean["false"],
    }
    return Figures(figures, settings={"seeds": seeds, "planted_of_each_kind": PLANTED})


def _planted(row: Row, text: str, number: int) -> Row:
    return replace(row, text=text, group=None, origin=f"planted:{number}")


def _restyled(text: str, draw: random.Random) -> str:
    """Other case, spacing and punctuation."""
    styled = draw.choice([str.upper, str.lower, str.title])(text)
    styled = re.sub(r"[,.;:]", "", styled) if draw.random() < 0.5 else styled + draw.choice(["!", ".", " ...", " ?"])
    return styled.replace(" ", "  ", draw.randint(1, 4))


def _reworded(text: str, draw: random.Random, everyday: list[str]) -> str:
    """One or two words changed, added or dropped."""
    words = text.split()
    for _ in range(draw.choice([1, 2])):
        place = draw.randrange(len(words))
        match draw.choice(["change", "add", "drop"]):
            case "change":
                words[place] = draw.choice(everyday)
            case "add":
                words.insert(place, draw.choice(everyday))
            case _ if len(words) > 3:
                del words[place]
            case _:
                words[place] = draw.choice(everyday)
    return " ".join(words)
