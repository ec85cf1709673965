"""Recipe: the one document that says which model to make of which data, and how.

YAML becomes typed objects here. Every fault is collected and told at once, each with the file, the line, the path,
the value found and the nearest known key.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from engine import resources
from engine.errors import RecipeError

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Paths = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Section(BaseModel):
    """A part of a recipe: unknown keys are faults, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Head(Section):
    """One question asked of a text. Single-label heads answer by softmax, multi-label heads by a sigmoid a label."""

    labels: Annotated[list[str], Field(min_length=1)]
    multi_label: bool = False
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Share of this head's loss in the sum over heads."""
    class_weights: Literal["none", "balanced", "sqrt"] = "none"
    """"balanced": inverse label frequency in train; "sqrt": its square root; both with mean 1 over the rows."""

    @model_validator(mode="after")
    def _check(self) -> Head:
        twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if twice:
            raise ValueError(f"labels stand twice: {', '.join(twice)}")
        if self.multi_label and self.class_weights != "none":
            raise ValueError("class_weights are for single-label heads; a multi-label head takes weight")
        if not self.multi_label and len(self.labels) < 2:
            raise ValueError("a single-label head needs two labels or more")
        return self


class Task(Section):
    kind: Literal["classify"]
    heads: Annotated[dict[str, Head], Field(min_length=1)]


class Split(Section):
    """Shares of the rows, cut by group, near-duplicates kept together. A given test file takes the place of `test`."""

    test: Fraction = 0.15
    dev: Fraction = 0.1
    calibration: Fraction = 0.1
    group: str | None = None
    """Column whose equal values stay on one side."""
    seed: int = 13

    @model_validator(mode="after")
    def _check(self) -> Split:
        if self.test + self.dev + self.calibration >= 1:
            raise ValueError("test + dev + calibration leave nothing to train on: their sum must be under 1")
        return self


class Data(Section):
    train: Annotated[Paths, Field(min_length=1)]
    test: Paths | None = None
    columns: dict[str, str] = {}
    """Name in the recipe ("text", a head) -> column in the file; a name left out is its own column."""
    where: dict[str, list[str]] = {}
    """Column -> values: only rows with one of the values are read."""
    split: Split = Split()
    on_leak: Literal["refuse", "drop"] = "refuse"
    max_rejected: Fraction = 0.05
    """Largest share of bad rows before the run stops."""

    @property
    def text_column(self) -> str:
        return self.columns.get("text", "text")


class Tuning(Section):
    method: Literal["full"] = "full"
    epochs: Annotated[int, Field(ge=1)] = 4
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    head_learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate from each layer to the one below it."""
    head_start: Literal["probe", "random"] = "probe"
    """"probe": heads begin as logistic regressions on the untouched encoder."""
    freeze_layers: Annotated[int, Field(ge=0)] | None = None
    """Lowest layers that stay as they are, the embeddings with them (0: the embeddings alone); none by default."""
    batch_tokens: Annotated[int, Field(ge=16)] = 2048
    """Upper bound of rows x longest row, padding included."""
    max_length: Annotated[int, Field(ge=8)] = 128
    warmup: Fraction = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    dropout: Fraction = 0.1
    label_smoothing: Fraction = 0.0
    average: Fraction = 0.98
    """Decay a step of the exponential average over the weights, which is what is scored and stored; 0: no average."""
    early_stopping: Annotated[int, Field(ge=0)] = 2
    """Epochs without a better dev score before training stops; 0 trains all epochs and keeps the last."""


class Export(Section):
    format: Literal["onnx", "none"] = "onnx"
    precision: Literal["fp32", "int8"] = "int8"
    max_quality_loss: Annotated[float, Field(ge=0)] = 0.005


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
    seeds: Annotated[list[int], Field(min_length=1)] = [13]
    track: list[Literal["tensorboard"]] = ["tensorboard"]

    @classmethod
    def load(cls, path: str | Path, settings: list[str] | None = None) -> Recipe:
        """Read a recipe file and apply `settings` ("tuning.epochs=2").

        Raises:
            RecipeError: the file is missing, is no YAML mapping, or has faults (all are listed).
        """
        import yaml

        source = resources.find(path, kind="recipe")
        try:
            text = source.read_text(encoding="utf-8")
            tree = yaml.compose(text, Loader=yaml.SafeLoader)
            values = yaml.safe_load(text)
        except UnicodeDecodeError as fault:
            raise RecipeError(f"{path}: not UTF-8 at byte {fault.start}; save the recipe as UTF-8") from None
        except yaml.YAMLError as fault:
            mark = getattr(fault, "problem_mark", None)
            where = f"{path}, line {mark.line + 1}" if mark else str(path)
            raise RecipeError(f"{where}: not YAML: {getattr(fault, 'problem', None) or fault}") from None
        if not isinstance(values, dict):
            raise RecipeError(
                f"{path}: a recipe is a YAML mapping that starts with 'name:'; found {type(values).__name__}"
            )
        for setting in settings or []:
            _apply(values, setting)
        return cls.parse(values, source=str(path), lines=_lines(tree))

    @classmethod
    def parse(
        cls, values: dict[str, Any], *, source: str = "recipe", lines: dict[tuple[str, ...], int] | None = None
    ) -> Recipe:
        """Recipe from plain values; `source` and `lines` (path -> line) only serve the message."""
        try:
            return cls.model_validate(values)
        except ValidationError as fault:
            raise RecipeError("\n".join(_tell(error, source, lines or {}) for error in fault.errors())) from None

    def digest(self) -> str:
        """SHA-256 of the recipe's content, the same for the same values in any order."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


def _apply(values: dict[str, Any], setting: str) -> None:
    import yaml

    path, equals, value = setting.partition("=")
    if not equals or not path:
        raise RecipeError(f"--set {setting}: write it as path=value, for example --set tuning.epochs=2")
    *parents, last = path.split(".")
    place = values
    for key in parents:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict):
            raise RecipeError(f"--set {setting}: '{key}' is a value, not a section")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        parsed = value
    place[last] = _number(parsed)


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as a string; a person means the number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _lines(node: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    if isinstance(getattr(node, "value", None), list):
        for index, child in enumerate(node.value):
            key, inner = (child[0].value, child[1]) if isinstance(child, tuple) else (str(index), child)
            mark = child[0] if isinstance(child, tuple) else child
            found[(*path, key)] = mark.start_mark.line + 1
            found |= _lines(inner, (*path, key))
    return found


def _tell(error: Any, source: str, lines: dict[tuple[str, ...], int]) -> str:
    path = tuple(str(part) for part in error["loc"])
    line = next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)
    where = f"{source}, line {line}" if line else source
    dotted = ".".join(path) or "recipe"
    if error["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.4)
        remedy = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
        return f"{where}: {dotted}: unknown key; {remedy}"
    if error["type"] == "missing":
        return f"{where}: {dotted}: missing; add '{path[-1]}:'"
    message = error["msg"].removeprefix("Value error, ")
    return f"{where}: {dotted}: {message[0].lower() + message[1:]}; found {str(error['input'])[:120]!r}"


def _known_keys(path: tuple[str, ...]) -> list[str]:
    model: Any = Recipe
    for part in path:
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        if field is None:
            continue  # a name the user chose, such as a head's: stay at the value's type
        annotation = field.annotation
        inner = [
            arg for arg in getattr(annotation, "__args__", ()) if isinstance(arg, type) and issubclass(arg, BaseModel)
        ]
        model = inner[0] if inner else annotation
    return list(getattr(model, "model_fields", {}))
