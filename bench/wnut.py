"""WNUT-17 entities: full tuning, and every adapter against its untrained start."""

from __future__ import annotations

import re
from typing import Any

from bench.contract import Figures, public_data
from bench.held_out import averaged
from bench.seeds import trained
from engine import Progress, Recipe
from engine.resources import home

RECIPE = "recipes/bench/wnut17.yaml"
ADAPTERS: dict[str, list[str]] = {
    "lora": ["tuning.epochs=1", "tuning.learning_rate=1e-3"],
    "adalora": ["tuning.epochs=1", "tuning.learning_rate=2e-3"],
    "ia3": ["tuning.epochs=1", "tuning.learning_rate=5e-3"],
    "adapter": ["tuning.epochs=1", "tuning.rank=48", "tuning.learning_rate=1e-3"],
    "prefix": ["tuning.epochs=2", "tuning.learning_rate=5e-3"],
    "prompt": ["tuning.epochs=2", "tuning.learning_rate=5e-3"],
    "p_tuning": ["tuning.epochs=2", "tuning.learning_rate=2e-3"],
}
"""Few epochs: each has only to leave its start behind, and an epoch takes a minute."""
FEW = 100
"""Train sentences shown to an adapter that is to stay as it starts."""


def run(*, seeds: int) -> Figures:
    """Span F1 on the test rows; `adapters_least_gain` is the smallest gain of an adapter over its untrained start."""
    file = str(public_data("wnut17") / "emerging.test.annotated")
    few = home() / "bench" / "data" / "wnut17-few.conll"
    few.parent.mkdir(parents=True, exist_ok=True)
    sentences = re.split(r"\n\s*\n", (public_data("wnut17") / "wnut17train.conll").read_text(encoding="utf-8"))
    few.write_text("\n\n".join(sentences[:FEW]) + "\n", encoding="utf-8")
    table: dict[str, Any] = {}
    with Progress() as progress:
        full = trained(Recipe.load(RECIPE), seeds, progress)
        found, intervals = averaged(full, file, "entities")
        for method, settings in ADAPTERS.items():
            common = [f"name=wnut17-{method}", f"tuning.method={method}", "export.format=none"]
            after = trained(Recipe.load(RECIPE, [*common, *settings]), 1, progress)
            # As good as untrained: an epoch over a few rows at a rate that moves nothing.
            still = [
                "tuning.learning_rate=1e-12", "tuning.head_learning_rate=1e-12", "tuning.epochs=1",
                f"data.train={few}",
            ]  # fmt: skip
            before = trained(
                Recipe.load(RECIPE, [*common, *settings, f"name=wnut17-{method}-start", *still]), 1, progress
            )
            table[method] = {
                "span_f1": round(averaged(after, file, "entities")[0]["span_f1"], 4),
                "start": round(averaged(before, file, "entities")[0]["span_f1"], 4),
                "trainable": after[0].manifest()["parameters"]["trainable"],
            }
    least = min(row["span_f1"] - row["start"] for row in table.values())
    return Figures(
        {"span_f1": found["span_f1"], "adapters_least_gain": least},
        {"span_f1": intervals["span_f1"]},
        {"seeds": seeds, "adapters": table},
    )
