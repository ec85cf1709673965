"""Deployed models on a labelled file: means over the models, bootstrap intervals over the rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from engine.evaluate.held_out import labelled, said
from engine.evaluate.intervals import Difference, paired_bootstrap
from engine.evaluate.report import Figures, measure
from engine.predictor import Predictor
from engine.store import Version
from engine.tasks import kinds
from engine.tasks.kinds import Output


def averaged(
    versions: Sequence[Version], file: str, head: str, settings: Sequence[str] = ()
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Figures and intervals of one head, averaged over the versions."""
    found = figures(versions, file, settings).heads[head]
    return {name: of.value for name, of in found.items()}, {name: (of.low, of.high) for name, of in found.items()}


def figures(versions: Sequence[Version], file: str, settings: Sequence[str] = ()) -> Figures:
    rows, _ = labelled(versions[0].folder, file, settings)
    predictors = [Predictor.open(version.folder) for version in versions]
    outputs = [_said(version.folder, file, tuple(settings)) for version in versions]
    return measure(predictors[0].spec.heads, rows, outputs, [predictor.temperatures for predictor in predictors])


@cache
def _said(version: Path, file: str, settings: tuple[str, ...] = ()) -> dict[str, list[Output]]:
    """Asked once a version and file: a chat model takes minutes."""
    return said(Predictor.open(version), labelled(version, file, settings)[0])


def paired(before: Sequence[Version], after: Sequence[Version], file: str, head: str, metric: str) -> Difference:
    """How much better `after` is on the same rows, with a paired bootstrap over rows and seeds."""
    rows, _ = labelled(before[0].folder, file)
    found = []
    for versions in (before, after):
        asked = [(Predictor.open(version.folder), _said(version.folder, file)[head]) for version in versions]
        spec = next(one for one in asked[0][0].spec.heads if one.name == head)
        kind = kinds.of(spec.kind)
        found.append([kind.metrics(spec, rows, outputs, one.temperatures[head])[metric] for one, outputs in asked])
    return paired_bootstrap(found[0], found[1], [row.group or f"row {number}" for number, row in enumerate(rows)])
