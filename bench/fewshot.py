"""Banking77 with ten rows a label: contrastive tuning against the head alone, on the same draws."""

from __future__ import annotations

from bench.banking77 import RECIPE
from bench.contract import Figures, public_data
from bench.held_out import averaged, paired
from bench.seeds import trained
from engine import Progress, Recipe

FEW = ["data.per_label=10", "data.split={dev: 0.0, calibration: 0.05, seed: 13}", "tuning.early_stopping=0"]
CONTRASTIVE = [
    *FEW, "name=banking77-few", "tuning.method=contrastive", "tuning.epochs=2", "tuning.learning_rate=3e-5",
    "tuning.batch_tokens=4096", "tuning.average=0", "tuning.label_smoothing=0", "tuning.head_learning_rate=1e-3",
]  # fmt: skip
HEAD = [*FEW, "name=banking77-few-head", "tuning.method=head", "tuning.epochs=20"]


def run(*, seeds: int) -> Figures:
    """Accuracy on the test rows. A seed is a draw of rows; no row beyond the draw teaches or stops the training."""
    file = str(public_data("banking77") / "test.csv")
    with Progress() as progress:
        tuned = trained(Recipe.load(RECIPE, CONTRASTIVE), seeds, progress)
        head = trained(Recipe.load(RECIPE, HEAD), seeds, progress)
        found, intervals = averaged(tuned, file, "intent")
        alone, between = averaged(head, file, "intent")
        gain = paired(head, tuned, file, "intent", "accuracy")
    return Figures(
        {
            "accuracy": found["accuracy"],
            "accuracy_head_only": alone["accuracy"],
            "gain": gain.value,
        },
        {"accuracy": intervals["accuracy"], "accuracy_head_only": between["accuracy"], "gain": (gain.low, gain.high)},
        {"seeds": seeds, "per_label": 10},
    )
