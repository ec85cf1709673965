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


def successor(reference: str) -> Version:
    """The champion of a stored version's name where feedback made it of that version, or else the version itself.

    So a bundle that names the version answers with what was learnt since, and goes back with it.

    Raises:
        InputError: there is no such version.
    """
    store = Store()
    version = store.get(reference)
    champion = store.get(version.name)
    before = {found["champion"] for _, found in retrains(champion)}
    return champion if str(version) in before else version
