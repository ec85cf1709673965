"""Space: what a search varies, as paths of a recipe and the values that each may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, model_validator

from engine.errors import RecipeError
from engine.recipe import Recipe, document, faults
from engine.recipe.document import Lines
from engine.recipe.section import Section
from engine.recipe.tuning import WITH_RANK, WITH_VIRTUAL_TOKENS
from engine.tasks.heads import specs

if TYPE_CHECKING:
    import optuna

ROOTS = ("base", "task", "tuning")
"""Parts of a recipe that a search may vary: the others are the question and the data, without which scores of two
trials could not be compared."""


class Range(Section):
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    """Drawn evenly over the logarithm."""

    @model_validator(mode="after")
    def _check(self) -> Range:
        if not self.low < self.high:
            raise ValueError("low must be under high")
        if self.log and self.low <= 0:
            raise ValueError("a log range starts above 0")
        return self

    def drawn(self, trial: optuna.Trial, path: str) -> Any:
        value = float(f"{trial.suggest_float(path, self.low, self.high, log=self.log):.3g}")  # fit for a person to read
        return min(max(value, self.low), self.high)

    def holds(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def ends(self) -> tuple[Any, ...]:
        return self.low, self.high


class Whole(Range):
    """Whole numbers: a range of a value that is one in the recipe."""

    def drawn(self, trial: optuna.Trial, path: str) -> Any:
        return trial.suggest_int(path, int(self.low), int(self.high), log=self.log)

    def ends(self) -> tuple[Any, ...]:
        return int(self.low), int(self.high)


@dataclass(frozen=True)
class Choice:
    """Some values."""

    values: tuple[Any, ...]

    def drawn(self, trial: optuna.Trial, path: str) -> Any:
        return trial.suggest_categorical(path, self.values)

    def holds(self, value: Any) -> bool:
        return value in self.values

    def ends(self) -> tuple[Any, ...]:
        return self.values


Space = Mapping[str, Range | Choice]
"""Path in the recipe ("tuning.learning_rate") -> what it may be."""


def default(recipe: Recipe) -> Space:
    """What is worth varying for the recipe's method, around the recipe's own values.

    Raises:
        RecipeError: there is nothing to tune.
    """
    tuning = recipe.tuning
    if tuning.method == "zero_shot":
        raise RecipeError("tuning.method zero_shot learns nothing, so there is nothing to search; take another method")
    found: dict[str, Range | Choice] = {
        "tuning.epochs": Whole(low=max(1, tuning.epochs // 2), high=2 * tuning.epochs),
        "tuning.batch_tokens": Choice(tuple(tuning.batch_tokens * 2**power // 2 for power in range(3))),
        "tuning.warmup": Range(low=0, high=0.3),
        "tuning.dropout": Range(low=0, high=0.3),
    }
    if tuning.method != "head":
        found["tuning.learning_rate"] = _around(tuning.learning_rate)
    if tuning.method != "contrastive":
        found["tuning.head_learning_rate"] = _around(tuning.head_learning_rate)
    if tuning.method in ("full", "contrastive"):
        found["tuning.layer_decay"] = Range(low=0.7, high=1)
    if tuning.method != "contrastive" and {head.kind for head in specs(recipe.task)} & {"single", "multi", "tags"}:
        found["tuning.label_smoothing"] = Range(low=0, high=0.15)
    if tuning.method in WITH_RANK:
        found["tuning.rank"] = Choice(tuple(sorted({4, 8, 16, 32, tuning.rank})))
    if tuning.method in WITH_VIRTUAL_TOKENS:
        found["tuning.virtual_tokens"] = Choice(tuple(sorted({4, 8, 16, 32, tuning.virtual_tokens})))
    return {path: values for path, values in found.items() if _fits(recipe, path, values)}


def read(path: str | Path, recipe: Recipe) -> Space:
    """A space as a person writes it, an entry a path.

    tuning.learning_rate: {low: 1e-5, high: 5e-4, log: true}
    tuning.epochs: [2, 3, 4]

    Raises:
        RecipeError: the file is missing or has faults (all are listed).
    """
    shape = "a YAML mapping of paths to ranges or lists, such as 'tuning.epochs: [2, 3, 4]'"
    values, lines = document.read(path, kind="space", shape=shape)
    found: dict[str, Range | Choice] = {}
    wrong = [] if values else [f"{path}: it is empty; a space is {shape}"]
    for key, value in values.items():
        try:
            found[str(key)] = _entry(str(key), value, recipe, str(path), lines)
        except RecipeError as fault:
            wrong.append(str(fault))
    if wrong:
        raise RecipeError("\n".join(wrong))
    return found


def at(recipe: Recipe, path: str) -> Any:
    """The recipe's value at a path; None where it does not say."""
    place: Any = recipe
    for key in path.split("."):
        place = place.get(key) if isinstance(place, dict) else getattr(place, key, None)
    return place


def _around(value: float) -> Range:
    return Range(low=value / 5, high=value * 5, log=True)


def _fits(recipe: Recipe, path: str, values: Range | Choice) -> bool:
    """Whether the recipe takes the values: a task without heads, say, has no head_learning_rate."""
    try:
        for value in values.ends():
            recipe.changed({path: value})
    except RecipeError:
        return False
    return True


def _entry(key: str, value: Any, recipe: Recipe, source: str, lines: Lines) -> Range | Choice:
    where = f"{source}, line {lines[(key,)]}: {key}"
    if key.split(".")[0] not in ROOTS:
        raise RecipeError(f"{where}: a search varies {', '.join(ROOTS)} alone; leave it out")
    if not isinstance(value, dict | list) or not value:
        raise RecipeError(f"{where}: give a range {{low: 1, high: 2}} or a list of values; found {str(value)[:120]!r}")
    if isinstance(value, list):
        if any(isinstance(one, dict | list) for one in value):
            raise RecipeError(f"{where}: a list holds numbers, words, true, false or null; found {str(value)[:120]!r}")
        return Choice(tuple(_taken(recipe, key, one, source, lines) for one in value))
    try:
        found = Range.model_validate(value)
    except ValidationError as fault:
        told = [{**error, "loc": (key, *error["loc"])} for error in fault.errors()]
        raise RecipeError("\n".join(faults.tell(error, source, lines, Range) for error in told)) from None
    ends = [_taken(recipe, key, end, source, lines) for end in found.ends()]
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in ends):
        raise RecipeError(f"{where}: takes no range; give a list of values")
    return Whole(**vars(found)) if all(isinstance(end, int) for end in ends) else found


def _taken(recipe: Recipe, key: str, value: Any, source: str, lines: Lines) -> Any:
    """The value as the recipe reads it there.

    Raises:
        RecipeError: it does not take it, or would be asked something else with it.
    """
    steps = key.split(".")
    line = {tuple(steps[:end]): lines[(key,)] for end in range(1, len(steps) + 1)}
    changed = recipe.changed({key: value}, source=source, lines=line)
    if specs(changed.task) != specs(recipe.task):
        raise RecipeError(
            f"{source}, line {lines[(key,)]}: {key}: changes what the model is asked, so scores could not be compared"
        )
    return at(changed, key)
