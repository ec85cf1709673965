"""Evaluate a stored version on a labelled file that it never saw."""

from __future__ import annotations

from engine.data import sources
from engine.errors import DataError
from engine.evaluate.report import Figures, measure
from engine.predictor import Predictor
from engine.recipe import Recipe
from engine.store import Version


def evaluate(version: Version, file: str, settings: list[str] | None = None) -> Figures:
    """Figures of the version's deployed form (its ONNX export where it has one) on the file.

    Args:
        settings: changes to how the version's recipe reads a file, as "data.columns.text=headline".

    Raises:
        DataError: too many rows are bad.
    """
    plain = ["data.where={}", *(settings or [])]
    recipe = Recipe.load(version.folder / "recipe.yaml", plain)
    loaded = sources.load([file], recipe.data, recipe.task.heads)
    if loaded.rejected_share > recipe.data.max_rejected:
        first = loaded.rejected[0]
        raise DataError(
            f"{len(loaded.rejected)} of {len(loaded.rejected) + len(loaded.rows)} rows are bad; "
            f"first: {first.file}, line {first.line}: {first.reason}"
        )
    predictor = Predictor.open(version.folder, model=str(version))
    logits = predictor.logits([row.text for row in loaded.rows])
    return measure(predictor.spec.heads, loaded.rows, [logits], [predictor.temperatures])
