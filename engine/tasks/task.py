"""Task: what the road from recipe to version needs of each kind of task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from engine.base_models import CARRIED, BaseModel, Kind
from engine.data.rows import Row
from engine.data.split import Parts
from engine.errors import RecipeError
from engine.evaluate.report import Figures
from engine.recipe import CHAT, Recipe
from engine.recipe.tuning import WITH_VIRTUAL_TOKENS

LEAST_CALIBRATION = 10
UNCALIBRATED = frozenset({"embed", "generate"})
"""Kinds of tasks whose answers are no probabilities: all their rows but dev and test are for training."""


class Watcher(Protocol):
    """Is told how far the work is."""

    def stage(self, text: str) -> None: ...
    def step(self, done: int, total: int, note: str) -> None: ...
    def scored(self, epoch: int, score: float) -> None:
        """After an epoch that was scored on dev; what it raises ends the training."""


@dataclass
class Learned:
    """What one seed's tuning made."""

    seed: int
    model: Any
    dev_score: float
    history: list[dict[str, float | None]] = field(default_factory=list)
    trainable: int = 0
    """Parameters that learnt."""
    parameters: int = 0
    """Parameters of the model in all."""
    temperatures: dict[str, float] = field(default_factory=dict)
    """Head -> temperature, from the calibration rows."""


class Task(Protocol):
    """One kind of task."""

    def learn(
        self, recipe: Recipe, base: BaseModel, parts: Parts, seed: int, folder: Path, watcher: Watcher
    ) -> Learned:
        """Tune the base by the recipe on the train rows, stop by the dev rows, calibrate on the calibration rows.

        Args:
            folder: of this seed's checkpoints; what a cut-off run left there is gone on from.
        """

    def measure(self, recipe: Recipe, base: BaseModel, learned: Sequence[Learned], rows: Sequence[Row]) -> Figures:
        """Figures over the test rows, the means over the seeds."""

    def write(self, recipe: Recipe, base: BaseModel, learned: Learned, folder: Path) -> None:
        """Write `model/` and `calibration.json` into a version's folder."""

    def export(
        self, recipe: Recipe, base: BaseModel, learned: Learned, parts: Parts, folder: Path
    ) -> list[dict[str, Any]]:
        """Write the export beside the model and say what it loses.

        Raises:
            ExportError: more than the recipe allows.
        """


_HOMES = {
    "classify": "engine.tasks.headed:Headed",
    "tag": "engine.tasks.headed:Headed",
    "extract": "engine.tasks.headed:Headed",
    "rank": "engine.tasks.headed:Headed",
    "embed": "engine.tasks.embed:Embedding",
    "generate": "engine.tasks.generate:Generation",
    "choose": "engine.tasks.choose:Choosing",
}


def check_base(recipe: Recipe, kind: Kind | None) -> None:
    """Refuse a base that the task cannot be tuned from; None is a kind not known yet.

    Raises:
        RecipeError: naming what can.
    """
    wanted: Kind = "causal" if recipe.task.kind in CHAT else "encoder"
    if kind in (None, wanted):
        return
    can = [name for name, carried in CARRIED.items() if carried == wanted]
    raise RecipeError(
        f"base: {recipe.base} is a model of the kind {kind}; task {recipe.task.kind} needs one of the kind {wanted}, "
        f"such as {' or '.join(can)}"
    )


def check_length(recipe: Recipe, base: BaseModel) -> None:
    """Refuse texts longer than the base has positions for, its learned virtual tokens counted in.

    Raises:
        RecipeError: naming the longest.
    """
    config = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
    positions = config.get("max_position_embeddings")
    if not positions or config.get("position_biased_input") is False:  # relative positions have no end
        return
    if "roberta" in config.get("model_type", "") or config.get("model_type") in ("camembert", "xmod"):
        positions -= 2  # counted from the padding's
    tuning = recipe.tuning
    virtual = tuning.virtual_tokens if tuning.method in WITH_VIRTUAL_TOKENS else 0
    if tuning.max_length + virtual > positions:
        beside = f" with {virtual} virtual tokens before them" if virtual else ""
        raise RecipeError(
            f"tuning.max_length: {tuning.max_length} tokens{beside}, but {base.name} reads {positions}; "
            f"set it to {positions - virtual} or less"
        )


def of(kind: str) -> Task:
    """The task by its kind; its file is read at first use."""
    module, _, name = _HOMES[kind].partition(":")
    found: Task = getattr(import_module(module), name)()
    return found
