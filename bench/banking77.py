"""Banking77: full tuning over the seeds, and LoRA against it on the first ones."""

from __future__ import annotations

import csv

from bench.contract import Figures, public_data
from bench.held_out import averaged
from bench.seeds import trained
from engine import Progress, Recipe

RECIPE = "recipes/bench/banking77.yaml"
LORA = [
    "name=banking77-lora", "tuning.method=lora", "tuning.rank=12", "tuning.epochs=6", "tuning.learning_rate=1e-3",
    "tuning.layer_decay=1",
]  # fmt: skip


LORA_SEEDS = 1
"""A run takes as long as one of full tuning; each is set against that of its seed."""


def run(*, seeds: int) -> Figures:
    """Accuracy of the deployed models on the test rows, means over the seeds."""
    file = str(public_data("banking77") / "test.csv")
    with Progress() as progress:
        full = trained(Recipe.load(RECIPE), seeds, progress)
        lora = trained(Recipe.load(RECIPE, LORA), min(seeds, LORA_SEEDS), progress)
        found, intervals = averaged(full, file, "intent")
        beside, _ = averaged(full[: len(lora)], file, "intent")
        adapted, between = averaged(lora, file, "intent")
    sizes = lora[0].manifest()["parameters"]
    return Figures(
        {
            "accuracy": found["accuracy"],
            "accuracy_lora": adapted["accuracy"],
            "lora_gap": beside["accuracy"] - adapted["accuracy"],
            "lora_trainable_share": sizes["trainable"] / sizes["all"],
            "ece": found["ece"],
        },
        {"accuracy": intervals["accuracy"], "accuracy_lora": between["accuracy"]},
        {"seeds": seeds, "lora_seeds": len(lora), "macro_f1": round(found["macro_f1"], 4)},
    )


def questions(part: str) -> list[tuple[str, str]]:
    """(question, intent) of "train" or "test"."""
    with (public_data("banking77") / f"{part}.csv").open(encoding="utf-8", newline="") as stream:
        return [(row["text"], row["category"]) for row in csv.DictReader(stream)]
