"""One recipe over several seeds: trained into a store of the benchmarks' own, each seed once, then read back."""

from __future__ import annotations

from engine import Progress, Recipe, Store, train
from engine.repeats import FIRST_SEED as FIRST_SEED
from engine.repeats import repeats
from engine.resources import home
from engine.store import Version


def trained(recipe: Recipe, seeds: int, progress: Progress, *, first: int = FIRST_SEED) -> list[Version]:
    """A version a seed. What an earlier, perhaps interrupted, run made of the same recipe and data is used again."""
    store = Store(home() / "bench")

    def make(one: Recipe) -> Version:
        return train(one, store=store, watcher=progress).version

    return repeats(recipe, range(first, first + seeds), store, make)
