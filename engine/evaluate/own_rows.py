"""Own rows: those that a stored version was made of, cut as they were."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from engine import resources, runs
from engine.data.split import Parts
from engine.errors import InputError
from engine.recipe import Recipe
from engine.store import Version


def own_rows(version: Version) -> Parts:
    """The version's rows; those of test it never saw.

    Raises:
        InputError: its files are not there, or are no longer those it was made of.
    """
    from engine.training import prepare

    recipe = Recipe.load(version.folder / "recipe.yaml")
    hashes = {name: resources.sha256(resources.find(name)) for name in runs.files(recipe)}
    if changed := sorted(name for name, sha in version.manifest()["data_sha256"].items() if hashes.get(name) != sha):
        raise InputError(f"{version}: {', '.join(changed)} has changed since it was trained; train it anew")
    with TemporaryDirectory() as aside:
        parts, _, _ = prepare(recipe, Path(aside))
    return parts
