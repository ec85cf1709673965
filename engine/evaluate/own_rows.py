"""Own rows: those that a stored version was made of, cut as they were."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from engine import lineage
from engine.data.split import Parts
from engine.recipe import Recipe
from engine.store import Version


def own_rows(version: Version) -> Parts:
    """The version's rows; those of test it never saw.

    Of a version that feedback made these are the rows of the recipe that it came from: both are judged on the same.

    Raises:
        InputError: its files are not there, or are no longer those it was made of.
    """
    from engine.training import check_unchanged, prepare

    version = lineage.root(version)
    check_unchanged(version)
    with TemporaryDirectory() as aside:
        parts, _, _ = prepare(Recipe.load(version.folder / "recipe.yaml"), Path(aside))
    return parts
