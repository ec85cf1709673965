"""Lineage: the versions that a retrained one came from, each by feedback, back to the one its recipe made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.store import Store, Version

SECTION = "retrain"
"""Of the manifest of a version that feedback made."""


def retrains(version: Version) -> Iterator[tuple[Version, dict[str, Any]]]:
    """The version and those before it that feedback made, the newest first, each with what its manifest says of it."""
    store = Store(version.folder.parent.parent)
    while found := version.manifest().get(SECTION):
        yield version, found
        version = store.get(found["champion"])


def root(version: Version) -> Version:
    """The version that the recipe made, before any feedback: its base data are known by that recipe."""
    for _, found in retrains(version):
        version = Store(version.folder.parent.parent).get(found["champion"])
    return version
