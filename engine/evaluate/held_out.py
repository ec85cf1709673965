"""Evaluate a stored version on a labelled file that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import resources
from engine.data import sources
from engine.data.rows import Row
from engine.evaluate.report import Figures, measure
from engine.generator import Generator
from engine.opening import opened
from engine.predictor import Predictor
from engine.recipe import Recipe
from engine.store import Version
from engine.tasks.heads import specs
from engine.tasks.kinds import Output


@dataclass(frozen=True)
class Judged:
    figures: Figures
    rejected: list[sources.Rejected]
    """Rows of the file that cannot be read."""
    taught: bool
    """The model learnt from this very file: its figures say nothing of other texts."""


def evaluate(version: Version, file: str, settings: list[str] | None = None) -> Judged:
    """Figures of the version's deployed form (its ONNX export where it has one) on the file.

    Args:
        settings: changes to how the version's recipe reads a file, as "data.columns.text=headline".

    Raises:
        DataError: too many rows are bad.
    """
    rows, rejected = labelled(version.folder, file, settings or [])
    predictor = opened(version.folder, model=str(version))
    figures = measure(predictor.spec.heads, rows, [said(predictor, rows)], [predictor.temperatures])
    recipe, hashes = Recipe.load(version.folder / "recipe.yaml"), version.manifest().get("data_sha256", {})
    learnt_from = {hashes.get(name) for name in (*recipe.data.train, *(recipe.data.dev or []))}
    return Judged(figures, rejected, resources.sha256(resources.find(file)) in learnt_from)


def labelled(folder: Path, file: str, settings: Sequence[str] = ()) -> tuple[list[Row], list[sources.Rejected]]:
    """Rows of a file as the recipe of the version in `folder` reads them, and the bad ones.

    Raises:
        DataError: none can be read, or more are bad than the recipe allows.
    """
    recipe = Recipe.load(folder / "recipe.yaml", ["data.where={}", *settings])
    loaded = sources.load([file], recipe.data, specs(recipe.task))
    sources.check_rejected(loaded, recipe.data.max_rejected)
    return loaded.rows, loaded.rejected


def said(predictor: Predictor, rows: Sequence[Row]) -> dict[str, list[Output]]:
    """What the deployed model says of the rows, before calibration."""
    if isinstance(predictor, Generator):
        return predictor.judged(rows)
    return predictor.outputs([row.text if row.pair is None else (row.text, row.pair) for row in rows])
