"""Repeats: one recipe over several seeds, each trained once into a store and found there again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine import resources, runs
from engine.recipe import Recipe
from engine.store import Store, Version

FIRST_SEED = 13


def repeats(recipe: Recipe, seeds: Sequence[int], store: Store, make: Callable[[Recipe], Version]) -> list[Version]:
    """A version a seed; what an earlier, perhaps interrupted, call made of the same recipe and data is used again.

    Args:
        make: trains a recipe, whose name and seed are those of the repeat, into the store.
    """
    versions = []
    for seed in seeds:
        one = recipe.model_copy(update={"name": f"{recipe.name}-seed-{seed}", "seeds": [seed]})
        made = [version for version in store.versions(one.name) if _same(version, one)]
        versions.append(made[-1] if made else make(one))
    return versions


def _same(version: Version, recipe: Recipe) -> bool:
    manifest = version.manifest()
    hashes = {name: resources.sha256(resources.find(name)) for name in runs.files(recipe)}
    return bool(
        manifest["recipe_sha256"] == recipe.digest()
        and manifest["data_sha256"] == hashes
        and manifest["parents"] == runs.parents(recipe)
    )
