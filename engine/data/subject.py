"""Subject: the rows that a check is about, named by a recipe or by a file and its columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine import resources
from engine.data import sources
from engine.data.rows import BadRow
from engine.errors import InputError
from engine.recipe import Data, Recipe
from engine.tasks.heads import HeadSpec, specs

MOST_LABELS = 1000
"""A column with more different values holds no labels."""
LABEL_COLUMN = "label"
"""Taken for the labels of a file when no other column is named and there is one of that name."""


@dataclass(frozen=True)
class Subject:
    data: Data
    heads: tuple[HeadSpec, ...]
    base: str
    max_length: int
    recipe: Recipe | None = None
    """What training would get; None for a file without labels."""
    faults: list[str] = field(default_factory=list)
    """Why there is no recipe though labels were named."""

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> Subject:
        return cls(recipe.data, specs(recipe.task), recipe.base, recipe.tuning.max_length, recipe)

    @classmethod
    def of_file(
        cls,
        file: str,
        *,
        text: str = "text",
        labels: Sequence[str] = (),
        group: str | None = None,
        base: str = "minilm",
    ) -> Subject:
        """A file of texts, with label columns or none. A column of lists has several labels a row.

        Raises:
            DataError: the file cannot be read.
            InputError: it has no such column, or a label column holds no labels.
        """
        columns: dict[str, Counter[str]] = {}
        lists: set[str] = set()
        for values in records(Data(train=[file])):
            for name, value in values.items():
                several = isinstance(value, list | tuple)
                lists |= {name} if several else set()
                counts = columns.setdefault(name, Counter())
                counts.update(str(one) for one in (value if several else [value]) if one not in (None, ""))
        names = list(labels) or [name for name in (LABEL_COLUMN,) if name in columns]
        for name, option in [(text, "--text"), *((name, "--label") for name in names), (group or text, "--group")]:
            if columns and name not in columns:
                raise InputError(f"{file}: no column '{name}'; give {option} one of: {', '.join(columns)}")
        heads = tuple(_head(file, name, columns[name], name in lists) for name in names if name in columns)
        faults = [
            f"column '{head.name}' holds one label only, {head.labels[0]!r}: there is nothing to tell apart"
            for head in heads
            if head.kind == "single" and len(head.labels) == 1
        ]
        shape: dict[str, Any] = {"train": [file], "columns": {"text": text}, "split": {"group": group}}
        recipe = None
        if heads and not faults:
            named = {head.name: {"labels": list(head.labels), "multi_label": head.multi_label} for head in heads}
            task = {"kind": "classify", "heads": named}
            recipe = Recipe.parse({"name": "check", "base": base, "task": task, "data": shape})
        return cls(Data.model_validate(shape), heads, base, max_length=128, recipe=recipe, faults=faults)


def records(data: Data) -> Iterator[Mapping[str, Any]]:
    """The train files' rows as they stand, those that can be read and that `data.where` lets in."""
    for name in data.train:
        for _, values in sources.records(resources.find(name, kind="data file"), name):
            if not isinstance(values, BadRow) and all(
                str(values.get(column)) in allowed for column, allowed in data.where.items()
            ):
                yield values


def _head(file: str, name: str, counts: Counter[str], several: bool) -> HeadSpec:
    if not counts or len(counts) > min(MOST_LABELS, max(20, counts.total() // 2)):
        raise InputError(
            f"{file}: column '{name}' holds {len(counts)} different values in {counts.total()} rows: no labels; "
            "give --label another"
        )
    return HeadSpec(name, "multi" if several else "single", tuple(sorted(counts)))
