"""Sharing: the branches of a run, their rows cut and past the leakage gate, and the server's test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine import training
from engine.data import sources
from engine.data.rows import Row
from engine.errors import InputError
from engine.federate.branch import Branch, by_column, dealt
from engine.recipe import Recipe


@dataclass(frozen=True)
class Sharing:
    """Whose rows are whose: `files`, one a branch; or a column's values; or a number of clients, for a trial."""

    files: tuple[str, ...] = ()
    by: str | None = None
    clients: int | None = None
    skew: float | None = None
    """Dirichlet's alpha, with `clients`; without it each client gets an even share of every label."""

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            InputError: naming the option.
        """
        if sum((bool(self.files), self.by is not None, self.clients is not None)) != 1:
            raise InputError("whose rows are whose? give one of --client FILE (for each branch), --by, or --clients N")
        if len(self.files) == 1:
            raise InputError("--client: one branch has nobody to train with; give a file for each")
        if twice := sorted({name for name in self.files if self.files.count(name) > 1}):
            raise InputError(f"--client: {', '.join(twice)} is given twice")
        if self.skew is not None and (self.clients is None or self.skew <= 0):
            raise InputError("--skew ALPHA is above 0, and goes with --clients N")

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}


@dataclass(frozen=True)
class Shared:
    """What a run trains on and is judged by."""

    branches: Sequence[Branch]
    test: list[Row]
    """The server's own."""
    rejected: list[sources.Rejected]
    hashes: dict[str, str]
    dropped: int
    """Rows that leaked between the parts."""


def read(recipe: Recipe, sharing: Sharing, run: Path) -> Shared:
    """The branches' rows. Each branch of a file of its own is cut and cleaned by itself, as it would be at home: no row
    of another is looked at, and the same text may stand in two of them. A trial's rows are cut by the recipe, with
    near-duplicates on one side, before they are dealt.

    Raises:
        DataError, LeakError: as `engine.train`.
        InputError: branches of files without test rows of the server's own, or no branches come of the sharing.
    """
    if not sharing.files:
        parts, loaded, dropped = training.prepare(recipe, run)
        made = (
            by_column(parts, recipe, sharing.by)
            if sharing.by is not None
            else dealt(parts, recipe, sharing.clients or 0, sharing.skew, seed=recipe.seeds[0])
        )
        return Shared(made, parts.test, loaded.rejected, loaded.hashes, dropped)
    if not recipe.data.test:
        raise InputError("data.test: with --client the server's test rows must be its own; --set data.test=FILE")
    if recipe.data.dev:
        raise InputError("data.dev is one file for all; with --client leave it out, each branch cuts its own dev rows")
    shared = Shared([], [], [], {}, 0)
    for name in sharing.files:
        folder = run / "branches" / str(len(shared.branches))
        folder.mkdir(parents=True, exist_ok=True)
        parts, loaded, dropped = training.prepare(recipe.changed({"data.train": [name]}), folder)
        branch = Branch(name, parts.train, parts.dev, parts.calibration)
        shared = replace(
            shared,
            branches=[*shared.branches, branch],
            test=parts.test,
            rejected=shared.rejected + [bad for bad in loaded.rejected if bad not in shared.rejected],
            hashes=shared.hashes | loaded.hashes,
            dropped=shared.dropped + dropped,
        )
    sources.write_rejected(shared.rejected, run / "rejected.jsonl")
    return shared
