"""Deployed models on a labelled file: means over the models, bootstrap intervals over the rows."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evaluate.held_out import labelled, said
from engine.evaluate.intervals import Difference, paired_bootstrap
from engine.evaluate.report import Figures, measure
from engine.predictor import Predictor
from engine.store import Version
from engine.tasks import kinds


def averaged(
    versions: Sequence[Version], file: str, head: str, settings: Sequence[str] = ()
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Figures and intervals of one head, averaged over the versions."""
    found = figures(versions, file, settings).heads[head]
    return {name: of.value for name, of in found.items()}, {name: (of.low, of.high) for name, of in found.items()}


def figures(versions: Sequence[Version], file: str, settings: Sequence[str] = ()) -> Figures:
    rows, _ = labelled(versions[0].folder, file, settings)
    predictors = [Predictor.open(version.folder) for version in versions]
    outputs = [said(predictor, rows) for predictor in predictors]
    return measure(predictors[0].spec.heads, rows, outputs, [predictor.temperatures for predictor in predictors])


def paired(before: Sequence[Version], after: Sequence[Version], file: str, head: str, metric: str) -> Difference:
    """How much better `after` is on the same rows, with a paired bootstrap over rows and seeds."""
    rows, _ = labelled(before[0].folder, file)
    found = []
    for versions in (before, after):
        predictors = [Predictor.open(version.folder) for version in versions]
        spec = next(one for one in predictors[0].spec.heads if one.name == head)
        found.append(
            [
                kinds.of(spec.kind).metrics(spec, rows, said(one, rows)[head], one.temperatures[head])[metric]
                for one in predictors
            ]
        )
    return paired_bootstrap(found[0], found[1], [row.group or f"row {number}" for number, row in enumerate(rows)])
