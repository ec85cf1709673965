"""One recipe over several seeds: trained into a store of the benchmarks' own, each seed once, then read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine import Progress, Recipe, Store, train
from engine.resources import home
from engine.store import Version

FIRST_SEED = 13


def trained(recipe: Recipe, seeds: int, progress: Progress, *, first: int = FIRST_SEED) -> list[Version]:
    """A version a seed. What an earlier, perhaps interrupted, run made of the same recipe and data is used again."""
    store = Store(home() / "bench")
    versions = []
    for seed in range(first, first + seeds):
        one = recipe.model_copy(update={"name": f"{recipe.name}-seed-{seed}", "seeds": [seed]})
        made = [version for version in store.versions(one.name) if _same(version, one)]
        versions.append(made[-1] if made else train(one, store=store, watcher=progress).version)
    return versions


def _same(version: Version, recipe: Recipe) -> bool:
    import hashlib

    from engine.resources import find

    manifest: dict[str, Any] = version.manifest()
    hashes = {name: _hash(find(name), hashlib.sha256()) for name in [*recipe.data.train, *(recipe.data.test or [])]}
    return bool(manifest["recipe_sha256"] == recipe.digest() and manifest["data_sha256"] == hashes)


def _hash(path: Path, digest: Any) -> str:
    digest.update(path.read_bytes())
    return str(digest.hexdigest())
