"""Gap: what not sharing rows costs, against one model trained on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import resources, training
from engine.data.rows import Row
from engine.evaluate.held_out import said
from engine.evaluate.intervals import paired_bootstrap
from engine.predictor import Predictor
from engine.recipe import Recipe
from engine.repeats import repeats
from engine.store import Store, Version
from engine.tasks import kinds
from engine.tasks.task import Watcher


@dataclass(frozen=True)
class Gap:
    """How much more the pooled model has of a figure; positive: the federated one is worse."""

    head: str
    metric: str
    federated: float
    pooled: float
    value: float
    low: float
    high: float
    """95% interval, by the paired bootstrap over the test rows."""
    p: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def pooled(recipe: Recipe, watcher: Watcher) -> Version:
    """The recipe trained on all branches' rows together. Made once; for a trial, or where they may be pooled after all.

    It lies among the comparisons and not among the models.
    """
    store = Store(resources.home() / "comparisons")

    def make(one: Recipe) -> Version:
        return training.train(one, store=store, watcher=watcher).version

    return repeats(recipe, recipe.seeds, store, make)[0]


def gaps(federated: Path, pooled: Version, rows: Sequence[Row]) -> list[Gap]:
    """The gap in the two first figures of each head, both models in the form that answers.

    Args:
        federated: folder of a version, perhaps in the making.
    """
    models = [Predictor.open(federated), Predictor.open(pooled.folder)]
    outputs = [said(model, rows) for model in models]
    found = []
    for head in models[0].spec.heads:
        numbers = kinds.answered(head, rows)
        if not len(numbers):
            continue
        chosen = [rows[number] for number in numbers]
        clusters = [row.group or f"row {number}" for number, row in enumerate(chosen)]
        ours, theirs = (
            kinds.of(head.kind).metrics(
                head, chosen, [of[head.name][number] for number in numbers], model.temperatures[head.name]
            )
            for model, of in zip(models, outputs, strict=True)
        )
        for metric in [name for name in ours if name != "ece"][:2]:
            difference = paired_bootstrap([ours[metric]], [theirs[metric]], clusters)
            every = np.arange(len(chosen), dtype=np.intp)
            beside = Gap(
                head.name, metric, ours[metric](every), theirs[metric](every),
                difference.value, difference.low, difference.high, difference.p,
            )  # fmt: skip
            found.append(beside)
    return found
