"""Branch: whose rows are whose. By a file each, by a column, or dealt with skewed labels for a trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import resources
from engine.data import sources
from engine.data.rows import BadRow, Row
from engine.data.split import Parts
from engine.errors import DataError, InputError
from engine.recipe import Recipe
from engine.tasks.heads import specs


@dataclass(frozen=True)
class Branch:
    """A client's name and its rows, which only it may read."""

    name: str
    train: list[Row]
    dev: list[Row]
    calibration: list[Row]


def by_column(parts: Parts, recipe: Recipe, column: str) -> list[Branch]:
    """A branch for each value of a column of the recipe's files.

    Raises:
        InputError: a row lacks the column, or all have the same value.
    """
    told: dict[str, str] = {}
    for name in [*recipe.data.train, *(recipe.data.dev or [])]:
        for line, values in sources.records(resources.find(name, kind="data file"), name):
            if not isinstance(values, BadRow) and values.get(column) not in (None, ""):
                told[f"{name}:{line}"] = str(values[column])
    own = [row for rows in (parts.train, parts.dev, parts.calibration) for row in rows]
    if lost := [row.origin for row in own if row.origin not in told]:
        raise InputError(f"--by {column}: {lost[0]} does not say it ({len(lost)} such rows); every row needs a branch")
    names = sorted({told[row.origin] for row in own})
    if len(names) < 2:
        raise InputError(f"--by {column}: all rows say {names[0]!r}: there is nobody to train with")
    return _named(parts, names, lambda row: told[row.origin])


def dealt(parts: Parts, recipe: Recipe, clients: int, skew: float | None, *, seed: int) -> list[Branch]:
    """Branches for a trial: rows dealt at random, or with skewed labels: each label's rows by shares drawn from
    Dirichlet(`skew`) over the clients (Yurochkin et al. 2019, arXiv 1905.12022). The smaller it is, the more of a label
    lies with one of them.

    Hsu et al. 2019 (arXiv 1909.06335) draw each client's labels instead, which of many labels leaves a client one or
    two. Rows without a label of the first single-label head are dealt evenly.
    """
    head = next((head for head in specs(recipe.task) if head.kind == "single"), None)
    if skew is not None and head is None:
        raise InputError("--skew deals rows by the label of a single-label head, and the recipe has none; give --by")
    random = np.random.default_rng(seed)
    shares: dict[object, NDArray[np.float64]] = {}
    if skew is not None and head is not None:
        shares = {label: random.dirichlet(np.full(clients, skew)) for label in head.labels}
    chosen = {
        id(row): int(random.choice(clients, p=shares.get(row.labels.get(head.name) if head else None)))
        for rows in (parts.train, parts.dev, parts.calibration)
        for row in rows
    }
    names = [f"client-{number}" for number in range(1, clients + 1)]
    return _named(parts, names, lambda row: names[chosen[id(row)]])


def _named(parts: Parts, names: Sequence[str], of: Callable[[Row], str]) -> list[Branch]:
    """The rows of each name, in their order; test rows are nobody's."""
    own = (parts.train, parts.dev, parts.calibration)
    found = [Branch(name, *([row for row in rows if of(row) == name] for rows in own)) for name in names]
    if empty := [branch.name for branch in found if not branch.train]:
        raise DataError(f"{', '.join(empty)}: no row to train on; take fewer clients, or a larger --skew")
    return found
