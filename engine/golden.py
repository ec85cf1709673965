"""Golden: the rows that judge every challenger of a model and never teach one, frozen at its first retrain.

<store>/<name>/golden.jsonl    the rows
<store>/<name>/golden.json     their hash, and the files that they came from; written last
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import resources
from engine.data import leakage, sources
from engine.data.files import write_json, write_lines
from engine.data.rows import BadRow, Row
from engine.data.split import Parts
from engine.errors import InputError, LeakError, StoreError
from engine.recipe import Data, Recipe
from engine.store import Version
from engine.tasks.heads import HeadSpec, specs

ROWS, FACTS = "golden.jsonl", "golden.json"
BUILT_IN = ("label", "language", "length")
"""Slices that every row has; others are columns."""


@dataclass(frozen=True)
class Golden:
    path: Path
    sha256: str
    rows: list[Row]
    columns: Mapping[str, Sequence[Any]]
    """Of each row, for the slices that the recipe names."""


def frozen(version: Version, recipe: Recipe, parts: Parts, *, aside: Path | None = None) -> Path:
    """The folder with the golden rows of a model; frozen now when they are not yet.

    Args:
        version: any of the model.
        recipe: the model's own, before any feedback.
        parts: what that recipe makes of its data.
        aside: a folder to write them to instead, when they are not frozen yet.

    Raises:
        InputError: the recipe names other files than those that were frozen.
        LeakError: the rows of its files were taught to the model.
    """
    folder = version.folder.parent
    if not (folder / FACTS).exists():
        folder = aside or folder
        rows, records = _chosen(recipe, parts)
        wanted = [name for name in recipe.gates.slices if name not in BUILT_IN]
        told = [{name: record.get(name) for name in wanted} for record in records]
        write_lines(folder / ROWS, (row.record() | more for row, more in zip(rows, told, strict=True)))
        given = {"sha256": resources.sha256(folder / ROWS), "rows": len(rows), "files": recipe.gates.golden}
        write_json(folder / FACTS, given)
    files = json.loads((folder / FACTS).read_text(encoding="utf-8"))["files"]
    if files != recipe.gates.golden:
        raise InputError(
            f"{version.name}: gates.golden is {recipe.gates.golden}, but its golden rows were frozen from "
            f"{files or 'its test rows'}; give these, or remove {folder / FACTS} to begin a new set"
        )
    return folder


def read(folder: Path, recipe: Recipe, heads: Sequence[HeadSpec]) -> Golden:
    """The golden rows in a folder.

    Args:
        recipe: names the slices.
        heads: with the labels known now.

    Raises:
        InputError: no row has the column of a slice.
        StoreError: they have changed since they were frozen.
    """
    path = folder / ROWS
    sha256 = json.loads((folder / FACTS).read_text(encoding="utf-8"))["sha256"]
    if not path.exists() or resources.sha256(path) != sha256:
        raise StoreError(
            f"{path}: the golden rows have changed since they were frozen; restore them, or remove {folder / FACTS} to "
            "begin a new set"
        )
    split = recipe.data.split.model_copy(update={"group": "group"})
    rows = sources.load([str(path)], Data(train=[str(path)], split=split), heads).rows
    records = [values for _, values in sources.records(path, str(path)) if not isinstance(values, BadRow)]
    wanted = [name for name in recipe.gates.slices if name not in BUILT_IN]
    if unknown := [name for name in wanted if not any(record.get(name) is not None for record in records)]:
        raise InputError(
            f"gates.slices: no golden row of {path} has {', '.join(unknown)}; the columns are frozen with the rows"
        )
    return Golden(path, sha256, rows, {name: [record.get(name) for record in records] for name in wanted})


def _chosen(recipe: Recipe, parts: Parts) -> tuple[list[Row], list[dict[str, Any]]]:
    """The rows to freeze, and their records for further columns."""
    if recipe.gates.golden is None:
        rows = parts.test
    else:
        loaded = sources.load(recipe.gates.golden, recipe.data, specs(recipe.task))
        sources.check_rejected(loaded, recipe.data.max_rejected)
        rows = loaded.rows
        leaks = [leak for leak in leakage.find_leaks(replace(parts, test=rows)) if leak.other_part == "test"]
        if leaks:
            pairs = "\n  ".join(map(str, leaks[:20]))
            raise LeakError(
                f"gates.golden: {len(leaks)} of its rows were taught to the model; take them out\n  {pairs}"
            )
    read: dict[str, dict[int, dict[str, Any]]] = {}
    records = []
    for row in rows:
        name, _, line = row.origin.rpartition(":")
        if name not in read:
            found = sources.records(resources.find(name), name)
            read[name] = {number: values for number, values in found if not isinstance(values, BadRow)}
        records.append(read[name].get(int(line), {}))
    return rows, records
