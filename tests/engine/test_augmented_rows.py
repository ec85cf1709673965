"""Augmented rows follow the rows they were made of: into train, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import Recipe
from engine.data.few import shots
from engine.data.rows import Row
from engine.data.split import Parts, cut
from engine.errors import LeakError
from engine.recipe import Split
from engine.training import prepare

TEXTS = ["alpha beta gamma", "delta epsilon zeta", "eta theta iota", "kappa lambda mu", "nu xi omicron", "pi rho sigma"]
Toy = Callable[..., Recipe]


def test_a_cut_stays_as_it_is_when_augmented_rows_come_in() -> None:
    rows = [Row(text + f" {number}", {}, None, f"a:{number}") for number, text in enumerate(TEXTS * 5)]
    alone = cut(rows, Split(), stratify=None)
    made = [Row("quite another text", {}, None, "b:1", augmented_from=alone.train[0].origin)]
    together = cut(rows + made, Split(), stratify=None)
    assert together.train == alone.train + made
    assert (together.dev, together.calibration, together.test) == (alone.dev, alone.calibration, alone.test)


def test_few_shots_stay_the_same_when_augmented_rows_come_in() -> None:
    rows = [Row(text, {"head": "ab"[number % 2]}, None, f"a:{number}") for number, text in enumerate(TEXTS)]
    made = [replace(row, origin=f"b:{number}", augmented_from=row.origin) for number, row in enumerate(rows)]
    alone = shots(Parts(rows, [], [], []), "head", 1, seed=3).train
    together = shots(Parts(rows + made, [], [], []), "head", 1, seed=3).train
    assert together[:2] == alone
    assert [row.augmented_from for row in together[2:]] == sorted(row.origin for row in alone)


def test_a_row_made_of_a_test_row_is_refused_or_dropped(toy_recipe: Toy, tmp_path: Path) -> None:
    parts, _, _ = prepare(toy_recipe(), tmp_path)
    made: list[dict[str, Any]] = [
        {"title": "Words like no other row", "sentiment": "neutral", "augmented_from": part[0].origin}
        for part in (parts.train, parts.test)
    ]
    (tmp_path / "made.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    recipe = toy_recipe()
    data = {**recipe.data.model_dump(), "train": [*recipe.data.train, str(tmp_path / "made.jsonl")]}
    with pytest.raises(LeakError, match=r"1 augmented rows are of rows that are not in train, such as .*made.jsonl:2"):
        prepare(toy_recipe(data=data), tmp_path)
    kept, _, dropped = prepare(toy_recipe(data={**data, "on_leak": "drop"}), tmp_path)
    assert dropped == 1
    assert kept.train == [*parts.train, kept.train[-1]]
    assert kept.train[-1].augmented_from == parts.train[0].origin
