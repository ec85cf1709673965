"""Evaluate a stored version on a labelled file that it never saw."""

from __future__ import annotations

from collections.abc import Sequence

from engine.data import sources
from engine.data.rows import Row
from engine.errors import DataError
from engine.evaluate.report import Figures, measure
from engine.generator import Generator
from engine.predictor import Predictor
from engine.recipe import Recipe
from engine.store import Version
from engine.tasks.heads import specs
from engine.tasks.kinds import Output


def evaluate(version: Version, file: str, settings: list[str] | None = None) -> Figures:
    """Figures of the version's deployed form (its ONNX export where it has one) on the file.

    Args:
        settings: changes to how the version's recipe reads a file, as "data.columns.text=headline".

    Raises:
        DataError: too many rows are bad.
    """
    plain = ["data.where={}", *(settings or [])]
    recipe = Recipe.load(version.folder / "recipe.yaml", plain)
    loaded = sources.load([file], recipe.data, specs(recipe.task))
    if loaded.rejected_share > recipe.data.max_rejected:
        first = loaded.rejected[0]
        raise DataError(
            f"{len(loaded.rejected)} of {len(loaded.rejected) + len(loaded.rows)} rows are bad; "
            f"first: {first.file}, line {first.line}: {first.reason}"
        )
    predictor = Predictor.open(version.folder, model=str(version))
    return measure(predictor.spec.heads, loaded.rows, [said(predictor, loaded.rows)], [predictor.temperatures])


def said(predictor: Predictor, rows: Sequence[Row]) -> dict[str, list[Output]]:
    """What the deployed model says of the rows, before calibration."""
    if isinstance(predictor, Generator):
        return predictor.judged(rows)
    return predictor.outputs([row.text if row.pair is None else (row.text, row.pair) for row in rows])
