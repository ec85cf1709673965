"""Checks: a stored version held to the bounds of its recipe, on its own test rows or on texts of a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine import resources
from engine.data.rows import Row
from engine.errors import InputError
from engine.evaluate import fairness as fair
from engine.evaluate import robustness as robust
from engine.evaluate.asked import Remembering, head_of, label_heads
from engine.evaluate.own_rows import own_rows
from engine.opening import load
from engine.predictor import Text
from engine.recipe import Recipe
from engine.store import Store, Version


@dataclass(frozen=True)
class Checked:
    """What was found of one version."""

    model: str
    texts: str
    """Which texts were asked, in words."""
    robustness: list[robust.Probe] = field(default_factory=list)
    fairness: list[fair.Gap] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return all(one.held for one in self.robustness) and all(one.held for one in self.fairness)


def checked(
    name: str,
    *,
    robustness: bool = True,
    fairness: bool = True,
    heads: Sequence[str] = (),
    texts: str | None = None,
    settings: Sequence[str] = (),
    seed: int = 0,
    store: Store | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> Checked:
    """Check a stored model.

    Args:
        heads: which label heads; all of them by default.
        texts: a file with a text a line; by default the version's test rows.
        settings: changes to the version's recipe, as "gates.fairness.max_gap=0.1".

    Raises:
        InputError: the model has no such head, the file no texts, or the version's data are no longer there.
    """
    predictor = load(name, store=store)
    version = predictor.version
    assert version is not None
    gates = Recipe.load(version.folder / "recipe.yaml", list(settings)).gates
    names = list(heads) or [head.name for head in label_heads(predictor.spec)]
    if not names:
        raise InputError(f"{version} answers no labels (task {predictor.spec.task}), and labels are what is checked")
    for one in names:
        head_of(predictor, one)  # a wrong name is told before any work
    stage(f"reading the texts for {version}")
    rows, told = _of_file(texts) if texts else _own(version)
    asking = Remembering(predictor)
    probes: list[robust.Probe] = []
    gaps: list[fair.Gap] = []
    for one in names:
        if robustness:
            stage(f"{one}: robustness on {told}")
            probes += robust.robustness(asking, rows, head=one, seed=seed, bounds=gates.robustness)
        if fairness:
            stage(f"{one}: fairness on {told}")
            asked: list[Text] = [row.text if row.pair is None else (row.text, row.pair) for row in rows]
            gaps += fair.fairness(asking, asked, head=one, seed=seed, bounds=gates.fairness)
    return Checked(str(version), told, probes, gaps)


def _of_file(texts: str) -> tuple[list[Row], str]:
    lines = [line.strip() for line in resources.text(texts).splitlines()]
    rows = [Row(line, {}, None, f"{texts}:{number}") for number, line in enumerate(lines, 1) if line]
    if not rows:
        raise InputError(f"{texts}: no text in it; write one a line")
    return rows, f"{len(rows):,} texts of {texts}"


def _own(version: Version) -> tuple[list[Row], str]:
    rows = own_rows(version).test
    return rows, f"its {len(rows):,} test rows"
