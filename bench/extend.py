"""A Banking77 model of seventy intents learns seven more from its rows, and must keep the seventy."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from bench.banking77 import RECIPE
from bench.contract import Figures, public_data
from bench.seeds import trained
from engine import Predictor, Progress, Recipe
from engine.resources import home
from engine.store import Version

NEW = 7
"""The last labels of the recipe's list are the ones learnt later."""
LEARNS = ["tuning.epochs=8", "tuning.learning_rate=1e-4"]
WAYS = {
    "extended": "tuning.extend={replay: 20, weight: 1.0}",
    "naive": "tuning.extend={replay: 1, weight: 0.0}",  # one row a label: the recipe takes no none
}


def run(*, seeds: int) -> Figures:
    """Accuracy on test rows of the old labels before and after, and on those of the new; the naive way beside it."""
    whole = Recipe.load(RECIPE)
    labels = whole.task.heads["intent"].labels  # type: ignore[union-attr]
    old = labels[:-NEW]
    files = _files(public_data("banking77"), set(old))
    shown = [f"data.train={files['train-old']}", f"data.test={files['test-old']}", f"task.heads.intent.labels={old}"]
    with Progress() as progress:
        before = trained(Recipe.load(RECIPE, ["name=banking77-70", *shown]), seeds, progress)
        after: dict[str, list[Version]] = {way: [] for way in WAYS}
        for number, one in enumerate(before):
            for way, extend in WAYS.items():
                settings = [f"name=banking77-{way}", f"base={one.folder / 'model'}", extend, *LEARNS]
                after[way] += trained(Recipe.load(RECIPE, settings), 1, progress, first=13 + number)
        figures = {"old_accuracy_before": _accuracy(before, files["test-old"])}
        for way, versions in after.items():
            figures[f"old_accuracy_{way}"] = _accuracy(versions, files["test-old"])
            figures[f"new_accuracy_{way}"] = _accuracy(versions, files["test-new"])
    return Figures(figures, settings={"seeds": seeds, "old_labels": len(old), "new_labels": NEW})


def _accuracy(versions: list[Version], file: Path) -> float:
    """Mean over the versions."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    right = 0
    for version in versions:
        found = Predictor.open(version.folder).predict([row["text"] for row in rows])
        right += sum(one["intent"].label == row["category"] for one, row in zip(found, rows, strict=True))
    return right / len(rows) / len(versions)


def _files(source: Path, old: set[str]) -> dict[str, Path]:
    """The rows of the old labels, of train and of test, and the test rows of the new."""
    folder = home() / "bench" / "data" / "banking77"
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    for part, kind in (("train", "old"), ("test", "old"), ("test", "new")):
        with (source / f"{part}.csv").open(encoding="utf-8", newline="") as stream:
            rows: list[dict[str, Any]] = list(csv.DictReader(stream))
        path = found[f"{part}-{kind}"] = folder / f"{part}-{kind}.csv"
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(row for row in rows if (row["category"] in old) == (kind == "old"))
    return found
