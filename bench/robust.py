"""PhraseBank under typing errors: adversarial training, noise copies, both, against plain training."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.contract import Figures, public_data
from bench.held_out import averaged
from bench.seeds import trained
from engine import Progress, Recipe
from engine.data.augment.noise import noisy
from engine.store import Version

RECIPE = "recipes/bench/phrasebank.yaml"
SHARE = 0.1
ADVERSARY = "tuning.adversarial={method: fgm, epsilon: 0.3}"
NOISE = "data.noise={share: 0.1, copies: 1}"
WAYS = {"adversarial": [ADVERSARY], "noise": [NOISE], "both": [ADVERSARY, NOISE]}


def run(*, seeds: int) -> Figures:
    """Macro F1 on clean and on mistyped test rows; the way taken is the best on rows cut from train."""
    folder = public_data("financial_phrasebank")
    table: dict[str, Any] = {}
    with Progress() as progress, TemporaryDirectory() as place:
        files = {
            "clean": str(folder / "50agree_test.csv"),
            "noisy": _mistyped(folder / "50agree_test.csv", Path(place) / "noisy.csv"),
        }
        plain = trained(Recipe.load(RECIPE), seeds, progress)
        held = _held_rows(plain[0], Path(place))
        for way, settings in {"plain": [], **WAYS}.items():
            versions = (
                trained(Recipe.load(RECIPE, [f"name=phrasebank-{way}", *settings]), seeds, progress)
                if way != "plain"
                else plain
            )
            scores = {
                kind: averaged(versions, file, "sentiment")[0]["macro_f1"] for kind, file in {**files, **held}.items()
            }
            table[way] = {kind: round(score, 4) for kind, score in scores.items()}
    best = max(WAYS, key=lambda way: table[way]["dev_clean"] + table[way]["dev_noisy"])
    return Figures(
        {
            "clean_macro_f1_loss": table["plain"]["clean"] - table[best]["clean"],
            "noisy_macro_f1_gain": table[best]["noisy"] - table["plain"]["noisy"],
        },
        settings={"seeds": seeds, "best": best, "table": table, "noise": SHARE},
    )


def _held_rows(version: Version, place: Path) -> dict[str, str]:
    """The rows of dev and calibration that the recipe cuts from train, clean and mistyped, to choose the way by."""
    from engine.training import prepare

    parts, _, _ = prepare(Recipe.load(version.folder / "recipe.yaml"), place)
    path = place / "held.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ["text", "sentiment"])
        writer.writeheader()
        writer.writerows(
            {"text": row.text, "sentiment": row.labels["sentiment"]} for row in parts.dev + parts.calibration
        )
    return {"dev_clean": str(path), "dev_noisy": _mistyped(path, place / "held-noisy.csv")}


def _mistyped(source: Path, target: Path) -> str:
    draw = random.Random(0)
    with source.open(encoding="utf-8", newline="") as given, target.open("w", encoding="utf-8", newline="") as out:
        rows = csv.DictReader(given)
        writer = csv.DictWriter(out, list(rows.fieldnames or []))
        writer.writeheader()
        writer.writerows({**row, "text": noisy(row["text"], SHARE, draw)} for row in rows)
    return str(target)
