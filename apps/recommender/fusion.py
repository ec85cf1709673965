"""Fusion: one row of features a candidate -> a margin, a probability for each behaviour, and what it is worth.

For each behaviour a LambdaMART booster (Burges 2010, MSR-TR-2010-82) orders the candidates; its margins become
probabilities by a logistic curve fitted on held-out users (Platt 1999). The score is the sum of the probabilities by
the value of each behaviour, so that with one behaviour the order is the booster's own.

Where lists were shown, what stood further down was looked at less: a booster learns a term for each position beside its
trees (LightGBM's unbiased LambdaMART), a curve one for its logarithm, and a score is that of the first place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.recommender.past import Floats
from apps.recommender.settings import Booster
from engine.errors import InputError

FILE = "fusion.json"
CUT = 10
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Lists:
    """Lists to learn from, one behind the other.

    Attributes:
        matrix: a row of features for each candidate.
        sizes: candidates of each list.
        labels: behaviour -> 1 where the user did it, shape (candidates,).
        positions: from 1, where the lists were shown; shape (candidates,).
    """

    matrix: Floats
    sizes: NDArray[np.int64]
    labels: Mapping[str, NDArray[np.int8]]
    positions: NDArray[np.int64] | None = None

    def of(self, behaviour: str) -> Lists:
        """The lists in which the behaviour happened."""
        starts = np.r_[0, np.cumsum(self.sizes)]
        happened = np.add.reduceat(self.labels[behaviour], starts[:-1]) > 0
        return self.where(happened)

    def where(self, kept: NDArray[np.bool_]) -> Lists:
        rows = np.repeat(kept, self.sizes)
        labels = {name: label[rows] for name, label in self.labels.items()}
        positions = None if self.positions is None else self.positions[rows]
        return Lists(self.matrix[rows], self.sizes[kept], labels, positions)

    def columns(self, chosen: Sequence[int]) -> Lists:
        """With some of the features."""
        return replace(self, matrix=self.matrix[:, chosen])


class Curve(NamedTuple):
    """From a margin to a probability: sigmoid(slope x margin + intercept + place x log(position))."""

    slope: float
    """Above 0."""
    intercept: float
    place: float = 0.0


@dataclass(frozen=True)
class Fusion:
    """What turns features into a score.

    Attributes:
        names: of the features, in order.
        values: behaviour -> what one is worth.
        boosters: behaviour -> LightGBM booster.
        curves: behaviour -> the logistic curve over its margin.
    """

    names: tuple[str, ...]
    values: Mapping[str, float]
    boosters: Mapping[str, Any]
    curves: Mapping[str, Curve]

    @classmethod
    def fit(
        cls,
        train: Lists,
        held: Lists,
        names: Sequence[str],
        values: Mapping[str, float],
        settings: Booster,
        *,
        seed: int,
        step: Callable[[int, int, str], None] | None = None,
    ) -> Fusion:
        """Learn from lists, and stop and calibrate on lists of other users.

        Raises:
            InputError: no behaviour that has a value happened in both.
        """
        boosters, curves = {}, {}
        for behaviour in sorted(set(values) & set(train.labels)):
            learn, stop = train.of(behaviour), held.of(behaviour)
            if len(learn.sizes) and len(stop.sizes):
                booster = _boosted(learn, stop, behaviour, names, settings, seed, step)
                boosters[behaviour] = booster
                curves[behaviour] = _curve(booster.predict(held.matrix), held.labels[behaviour], held.positions)
        if not boosters:
            raise InputError(
                f"no event of {', '.join(sorted(values))} stands at the end of the events, so that nothing can be "
                "learnt; give more events, or values for the behaviours that there are"
            )
        return cls(tuple(names), {name: values[name] for name in boosters}, boosters, curves)

    def margins(self, matrix: Floats) -> dict[str, Doubles]:
        """What each booster says, before calibration; shape (candidates,)."""
        return {name: np.asarray(booster.predict(matrix), np.float64) for name, booster in self.boosters.items()}

    def probabilities(self, margins: Mapping[str, Doubles], positions: Any = 1) -> dict[str, Doubles]:
        """How likely each behaviour is, among candidates such as it was calibrated on.

        Args:
            positions: where each stands, from 1; it matters where the booster learnt from lists that were shown.
        """
        down = np.log(np.asarray(positions, np.float64))
        curves = self.curves
        return {
            name: _sigmoid(curves[name].slope * margin + curves[name].intercept + curves[name].place * down)
            for name, margin in margins.items()
        }

    def scores(self, probabilities: Mapping[str, Doubles], values: Mapping[str, float] | None = None) -> Doubles:
        """Expected value of showing each candidate.

        Args:
            values: other values than it was trained with; unknown behaviours are refused.
        """
        worth = self.values if values is None else values
        if unknown := sorted(set(worth) - set(self.boosters)):
            raise InputError(
                f"values: {unknown[0]}: no such behaviour was learnt; there are {', '.join(self.boosters)}"
            )
        return np.asarray(sum(worth.get(name, 0.0) * found for name, found in probabilities.items()), np.float64)

    def contributions(self, matrix: Floats) -> dict[str, Doubles]:
        """Exact Shapley values of each feature (TreeSHAP; Lundberg et al. 2020) and, last, the base; their sum is the
        margin. Shape (candidates, features + 1)."""
        if not len(matrix):  # LightGBM would divide by their number
            return {name: np.zeros((0, len(self.names) + 1)) for name in self.boosters}
        return {
            name: np.asarray(booster.predict(matrix, pred_contrib=True), np.float64)
            for name, booster in self.boosters.items()
        }

    def save(self, folder: Path) -> None:
        for number, booster in enumerate(self.boosters.values()):
            (folder / f"booster-{number}.txt").write_text(booster.model_to_string(), encoding="utf-8")
        value = {"names": self.names, "values": dict(self.values), "curves": dict(self.curves)}
        (folder / FILE).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Fusion:
        import lightgbm

        value = json.loads((folder / FILE).read_text(encoding="utf-8"))
        curves = {name: Curve(*map(float, curve)) for name, curve in value["curves"].items()}
        boosters = {
            name: lightgbm.Booster(model_str=(folder / f"booster-{number}.txt").read_text(encoding="utf-8"))
            for number, name in enumerate(curves)
        }
        return cls(tuple(value["names"]), value["values"], boosters, curves)


def _boosted(
    learn: Lists, stop: Lists, behaviour: str, names: Sequence[str], settings: Booster, seed: int, step: Any
) -> Any:
    import lightgbm

    parameters = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [CUT],
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": min(50, max(1, len(learn.matrix) // 100)),
        "feature_fraction": 0.6,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "lambdarank_truncation_level": 30,
        "num_threads": settings.threads,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(
        learn.matrix,
        learn.labels[behaviour],
        group=learn.sizes,
        feature_name=list(names),
        position=learn.positions,
    )
    check = lightgbm.Dataset(stop.matrix, stop.labels[behaviour], group=stop.sizes, reference=data)
    calls: list[Callable[..., Any]] = [lightgbm.early_stopping(settings.stop_after, verbose=False)]
    if step:
        calls.append(lambda at: step(at.iteration + 1, settings.rounds, ""))
    return lightgbm.train(parameters, data, settings.rounds, valid_sets=[check], callbacks=calls)


def _curve(margins: Doubles, labels: NDArray[np.int8], positions: NDArray[np.int64] | None) -> Curve:
    """The logistic regression of the labels on the margins, and on the positions where there are any."""
    from sklearn.linear_model import LogisticRegression

    columns = [margins] if positions is None else [margins, np.log(positions)]
    fitted = LogisticRegression(C=1e3).fit(np.column_stack(columns), labels)
    slope, *place = map(float, fitted.coef_[0])
    return Curve(max(slope, 1e-6), float(fitted.intercept_[0]), *place)


def _sigmoid(values: Doubles) -> Doubles:
    from scipy.special import expit

    return np.asarray(expit(values), np.float64)
