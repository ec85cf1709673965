"""Recipe: the one document that says which model to make of which data, and how.

YAML becomes typed objects here. Every fault is collected and told at once, each with the file, the line, the path,
the value found and the nearest known key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from engine.errors import RecipeError
from engine.recipe import document, faults
from engine.recipe.data import Data, Noise, Split
from engine.recipe.gates import Gates
from engine.recipe.retrain import Retrain
from engine.recipe.section import Section
from engine.recipe.task import Choose, Classify, Embed, Extract, Generate, Head, Rank, Tag, Task
from engine.recipe.tuning import Adapt, Adversarial, Distill, Export, Extend, Method, Tuning

__all__ = [
    "Adapt", "Adversarial", "Choose", "Classify", "Data", "Distill", "Embed", "Export", "Extend", "Extract", "Gates",
    "Generate", "Head", "Method", "Noise", "Rank", "Recipe", "Retrain", "Split", "Tag", "Task", "Tuning",
]  # fmt: skip
ENCODER_METHODS: tuple[Method, ...] = (
    "full",
    "head",
    "lora",
    "adalora",
    "ia3",
    "prefix",
    "prompt",
    "p_tuning",
    "adapter",
)
METHODS: dict[str, tuple[Method, ...]] = {
    "classify": (*ENCODER_METHODS, "contrastive", "zero_shot"),
    "tag": ENCODER_METHODS,
    "extract": ENCODER_METHODS,
    "rank": ENCODER_METHODS,
    "embed": ("full", "lora"),
    "generate": ("full", "lora", "adalora", "ia3", "prefix", "prompt", "p_tuning"),
    "choose": ("zero_shot", "full", "lora", "adalora", "ia3", "prefix", "prompt", "p_tuning"),
}
"""Task kind -> the ways of tuning that it can do."""
OBJECTIVES = {
    "adversarial": ("classify", "tag", "rank"),
    "r_drop": ("classify", "tag", "rank"),
    "distill": ("classify",),
    "extend": ("classify",),
    "adapt": ("classify", "tag", "extract", "rank", "embed", "generate", "choose"),
}
"""Setting of `tuning` -> the task kinds that can do it."""

CHAT = ("generate", "choose")
"""Task kinds of causal chat models."""
HEADS_ONLY = ("head_learning_rate", "head_start", "gradual_unfreezing", "label_smoothing")
"""Settings of `tuning` that a task without heads cannot use."""


class Recipe(Section):
    """What to make. See `recipes/finance_news.yaml` for the shape."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    base: str = "minilm"
    languages: list[str] = ["en"]
    """ISO 639-1 codes of the languages the data teach; applications do not ask the model about others."""
    task: Task
    data: Data
    tuning: Tuning = Tuning()
    export: Export = Export()
    retrain: Retrain = Retrain()
    gates: Gates = Gates()
    seeds: Annotated[list[int], Field(min_length=1)] = [13]
    track: list[Literal["tensorboard", "mlflow", "wandb"]] = ["tensorboard"]

    @model_validator(mode="before")
    @classmethod
    def _without_export(cls, values: Any) -> Any:
        """Chat models have no export: a recipe that does not speak of it gets none."""
        task = values.get("task") if isinstance(values, dict) else None
        unexported = isinstance(task, dict) and task.get("kind") in CHAT
        return {"export": {"format": "none"}, **values} if unexported else values

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        """A method that the task cannot do is refused here, naming what can."""
        kind, tuning = self.task.kind, self.tuning
        if tuning.method not in METHODS[kind]:
            raise ValueError(
                f"tuning.method {tuning.method} cannot tune task {kind}; it can: {', '.join(METHODS[kind])}"
            )
        for name, kinds in OBJECTIVES.items():
            if getattr(tuning, name) and kind not in kinds:
                raise ValueError(f"tuning.{name} cannot train task {kind}; it can train: {', '.join(kinds)}")
        if tuning.adapt and (tuning.adapt.method == "clm") != (kind in CHAT):
            can = "clm" if kind in CHAT else "simcse, tsdae, mlm"
            raise ValueError(
                f"tuning.adapt.method {tuning.adapt.method} cannot train the base of task {kind}; it can: {can}"
            )
        if isinstance(self.task, Classify):
            heads = self.task.heads.values()
            labels_only = all(head.single for head in heads)
            places_only = all(head.entities for head in heads)
            if tuning.method in ("contrastive", "zero_shot"):
                if not (labels_only and len(heads) == 1):
                    raise ValueError(f"tuning.method {tuning.method} needs one single-label head")
                if any(head.class_weights != "none" for head in heads):
                    raise ValueError(
                        f"class_weights weigh a loss that method {tuning.method} does not have; leave them out"
                    )
            if tuning.distill and not all(head.labels and not head.entities for head in heads):
                raise ValueError("tuning.distill needs label heads; it learns neither numbers nor entities")
            if self.data.noise and places_only:
                raise ValueError("data.noise would move the spans of the entities; it is for heads of other answers")
            if self.task.vectors and "pair" in self.data.columns:
                raise ValueError(
                    "task.vectors are those of single texts, and data.columns.pair makes pairs; leave it out"
                )
            if tuning.extend and not (labels_only and len(heads) == 1):
                raise ValueError("tuning.extend needs one single-label head")
            if tuning.extend and not self.data.test:
                raise ValueError("tuning.extend needs data.test: rows cut from train may be known to the base already")
        if self.data.noise and kind not in ("classify", "embed"):
            raise ValueError(
                f"data.noise would move the spans of task {kind} or spoil its answers; it is for classify, embed"
            )
        if self.data.per_label and not _labelled(self.task):
            raise ValueError(
                "data.per_label draws rows by the label of a single-label head; task has none, leave it out"
            )
        for name, why in _unused(self.task, tuning).items():
            if getattr(tuning, name) != Tuning.model_fields[name].default:
                raise ValueError(f"tuning.{name} {why}; leave it out")
        if kind in CHAT and self.export.format != "none":
            raise ValueError(
                f"export.format {self.export.format}: task {kind} is not exported; set export.format: none"
            )
        return self

    @classmethod
    def load(cls, path: str | Path, settings: list[str] | None = None) -> Recipe:
        """Read a recipe file and apply `settings` ("tuning.epochs=2").

        Raises:
            RecipeError: the file is missing, is no YAML mapping, or has faults (all are listed).
        """
        values, lines = document.read(path, kind="recipe", shape="a YAML mapping that starts with 'name:'")
        for setting in settings or []:
            _apply(values, setting)
        return cls.parse(values, source=str(path), lines=lines)

    @classmethod
    def parse(
        cls, values: dict[str, Any], *, source: str = "recipe", lines: dict[tuple[str, ...], int] | None = None
    ) -> Recipe:
        """Recipe from plain values; `source` and `lines` (path -> line) only serve the message."""
        try:
            return cls.model_validate(values)
        except ValidationError as fault:
            told = [faults.tell(error, source, lines or {}, cls) for error in fault.errors()]
            raise RecipeError("\n".join(told)) from None

    def changed(
        self,
        settings: Mapping[str, Any],
        *,
        source: str = "recipe",
        lines: dict[tuple[str, ...], int] | None = None,
    ) -> Recipe:
        """The recipe with some values replaced ({"tuning.epochs": 2}), checked as a whole.

        Raises:
            RecipeError: as `parse`.
        """
        values = self.model_dump(exclude_unset=True)
        for path, value in settings.items():
            try:
                _put(values, path, value)
            except ValueError as fault:
                line = (lines or {}).get((path.split(".")[0],))
                raise RecipeError(f"{source}{f', line {line}' if line else ''}: {path}: {fault}") from None
        return type(self).parse(values, source=source, lines=lines)

    def digest(self) -> str:
        """SHA-256 of what the recipe makes, the same for the same values in any order. How its model will be retrained
        and judged later is no part of it."""
        made = self.model_dump(exclude={"retrain", "gates"})
        return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()

    def yaml(self) -> str:
        """The recipe as a file that `load` reads back."""
        import yaml

        return yaml.safe_dump(self.model_dump(exclude_none=True), sort_keys=False, allow_unicode=True)


def _labelled(task: Task) -> bool:
    """Whether a row has one label of a few."""
    if isinstance(task, Classify):
        return any(head.single for head in task.heads.values())
    return isinstance(task, Choose)


def _unused(task: Task, tuning: Tuning) -> dict[str, str]:
    """Settings of `tuning` that this task or method cannot use, and why."""
    if task.kind in ("embed", *CHAT):  # what is pretrained keeps its own dropout
        names = (*HEADS_ONLY, *([] if tuning.method in ("lora", "adalora") else ["dropout"]))
        return dict.fromkeys(names, f"is about heads, and task {task.kind} has none")
    if tuning.method in ("contrastive", "zero_shot"):
        return dict.fromkeys(
            HEADS_ONLY, f"is about a head that learns by steps; that of method {tuning.method} does not"
        )
    smoothed = isinstance(task, Tag) or (
        isinstance(task, Classify) and any(head.labels for head in task.heads.values())
    )
    return {} if smoothed else {"label_smoothing": "is about labels, and the heads have none"}


def _apply(values: dict[str, Any], setting: str) -> None:
    import yaml

    path, equals, value = setting.partition("=")
    if not equals or not path:
        raise RecipeError(f"--set {setting}: write it as path=value, for example --set tuning.epochs=2")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        parsed = value
    try:
        _put(values, path, _number(parsed))
    except ValueError as fault:
        raise RecipeError(f"--set {setting}: {fault}") from None


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    place: Any = values
    for key in parents:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict):
            raise ValueError(f"'{key}' is a value, not a section")
    place[last] = value


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as a string; a person means the number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
