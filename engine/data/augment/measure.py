"""Measure: whether augmented rows help, by training with and without them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import Row
from engine.errors import InputError
from engine.evaluate.intervals import bootstrap
from engine.recipe import Recipe
from engine.tasks import kinds
from engine.tasks.heads import HeadSpec, specs

if TYPE_CHECKING:
    from engine.evaluate.report import Outputs
    from engine.tasks.task import Watcher

MEASURED = ("classify", "extract", "rank")


@dataclass(frozen=True)
class Measured:
    """Scores on the dev rows, the mean of the heads' main figures. Both runs stop by these rows too, so each score is
    flattered a little; the difference is between equals. Test rows are not looked at."""

    rows: int
    without: float
    augmented: float
    difference: float
    low: float
    high: float
    """95% interval of the difference, by a paired bootstrap over the dev rows, groups drawn whole."""

    @property
    def verdict(self) -> str:
        if self.low > 0:
            return "the augmented rows help"
        return "the augmented rows harm" if self.high < 0 else "no difference is shown on this many rows"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def check_task(recipe: Recipe) -> None:
    """Raises InputError where `measure` cannot judge the recipe's task."""
    if recipe.task.kind not in MEASURED:
        raise InputError(f"--measure compares answers of the tasks {', '.join(MEASURED)}; this is {recipe.task.kind}")


def measure(recipe: Recipe, file: str, *, watcher: Watcher) -> Measured:
    """Train the recipe with and without the rows of `file`, into a store that is thrown away.

    The models are compared before export: what an export costs is not what is asked here.
    """
    from engine.training import prepare

    check_task(recipe)
    plain = recipe.model_copy(update={"export": recipe.export.model_copy(update={"format": "none"})})
    data = plain.data.model_copy(update={"train": [*plain.data.train, file]})
    with tempfile.TemporaryDirectory() as folder:
        dev = prepare(plain, Path(folder))[0].dev
        both = [
            _outputs(one, dev, Path(folder) / str(number), watcher)
            for number, one in enumerate((plain, plain.model_copy(update={"data": data})))
        ]
    heads = specs(recipe.task)
    clusters = [row.group or f"row {number}" for number, row in enumerate(dev)]
    without, augmented = (scorer(heads, dev, outputs) for outputs in both)
    everything = np.arange(len(dev), dtype=np.intp)
    difference = bootstrap(lambda over: augmented(over) - without(over), clusters)
    return Measured(len(dev), without(everything), augmented(everything), *difference)


def scorer(heads: Sequence[HeadSpec], rows: Sequence[Row], outputs: Outputs) -> kinds.Metric:
    """The mean of the heads' main figures, as a function of row numbers; heads that none of them answers count not."""
    metrics: list[tuple[kinds.Metric, NDArray[np.intp]]] = []
    for head in heads:
        numbers = kinds.answered(head, rows)
        if len(numbers):
            kind = kinds.of(head.kind)
            said = [outputs[head.name][number] for number in numbers]
            metric = kind.metrics(head, [rows[number] for number in numbers], said, 1.0)[kind.main]
            place = np.full(len(rows), -1, dtype=np.intp)
            place[numbers] = np.arange(len(numbers))
            metrics.append((metric, place))

    def score(over: NDArray[np.intp]) -> float:
        placed = [(metric, place[over][place[over] >= 0]) for metric, place in metrics]
        return float(np.mean([metric(answered) for metric, answered in placed if len(answered)] or [0.0]))

    return score


def _outputs(recipe: Recipe, rows: Sequence[Row], folder: Path, watcher: Watcher) -> Outputs:
    from engine.evaluate.held_out import said
    from engine.predictor import Predictor
    from engine.store import Store
    from engine.training import train

    done = train(recipe, store=Store(folder), watcher=watcher)
    return said(Predictor.open(done.version.folder), rows)
