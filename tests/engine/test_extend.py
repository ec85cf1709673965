"""Extension: a stored model gets a label more, and keeps what it knew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import Recipe, load, train
from engine.base_models import resolve
from engine.errors import RecipeError
from engine.tasks import encoder, headed
from engine.tasks.encoding import Collator, encoded
from engine.training import prepare
from engine.tuning import extend

Toy = Callable[..., Recipe]
FAST = {"epochs": 2, "batch_tokens": 512, "max_length": 48}


def single(*labels: str) -> dict[str, Any]:
    return {"kind": "classify", "heads": {"sentiment": {"labels": list(labels)}}}


@pytest.fixture
def files(tmp_path: Path, headlines: list[dict[str, Any]]) -> dict[str, str]:
    """Rows of two labels, and of all three; tests apart."""
    english = [item for item in headlines if item["lang"] == "en"][::9]
    two = [item for item in english if item["sentiment"] != "positive"]
    parts = {"two": two[:200], "two-test": two[200:260], "three": english[:300], "three-test": english[300:400]}
    for name, items in parts.items():
        text = "".join(json.dumps(item) + "\n" for item in items)
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return {name: str(tmp_path / f"{name}.jsonl") for name in parts}


@pytest.fixture
def known(toy_recipe: Toy, files: dict[str, str]) -> Recipe:
    """A stored model of two labels, and the recipe that extends it by a third in their midst."""
    columns = {"text": "title"}
    data = {"train": files["two"], "test": files["two-test"], "columns": columns, "on_leak": "drop"}
    train(toy_recipe(task=single("negative", "neutral"), data=data, tuning=FAST))
    data |= {"train": files["three"], "test": files["three-test"]}
    three = single("negative", "positive", "neutral")
    return toy_recipe(base="store:toy", name="more", task=three, data=data, tuning={**FAST, "extend": {"replay": 12}})


def test_it_begins_as_it_was_with_a_logit_along_the_new_rows(known: Recipe, tmp_path: Path) -> None:
    base = resolve(known.base)
    parts, _, _ = prepare(known, tmp_path)
    before = extend.before(known, base.folder)
    assert (before.old, before.labels) == ((0, 2), ("negative", "neutral"))
    rows = encoded(parts.train, headed.tokenizer_of(base.folder), headed.model_spec(known, base))
    model = encoder.build(known, base, rows).eval()
    extend.begin(before, model, rows)
    batch = Collator(rows.pad_token_id)([rows[row] for row in range(len(rows))])
    with torch.inference_mode():
        logits = model(batch["input_ids"], batch["attention_mask"])["logits_sentiment"]
    assert torch.allclose(logits[:, [0, 2]], batch["taught_logits_sentiment"], atol=1e-5)
    new = batch["labels_sentiment"] == 1
    assert logits[new, 1].mean() > logits[~new, 1].mean()


def test_it_learns_from_all_new_rows_and_some_of_the_old(known: Recipe, tmp_path: Path) -> None:
    parts, _, _ = prepare(known, tmp_path)
    before = extend.before(known, resolve(known.base).folder)
    chosen = [row.labels["sentiment"] for row in extend.replayed(before, parts.train, 12, seed=1)]
    assert (chosen.count("negative"), chosen.count("neutral")) == (12, 12)
    assert chosen.count("positive") == [row.labels["sentiment"] for row in parts.train].count("positive")


def test_the_version_answers_with_all_labels_and_names_its_parent(known: Recipe) -> None:
    done = train(known)
    assert done.version.manifest()["parents"] == ["toy@1"]
    assert set(load("more").probabilities(["Profit fell"])) == {"sentiment"}
    assert load("more").probabilities(["Profit fell"])["sentiment"].shape == (1, 3)


@pytest.mark.parametrize(
    ("base", "labels", "said"),
    [
        (None, ("negative", "positive", "neutral"), "has no labels yet"),
        ("store:toy", ("negative", "positive"), "knows neutral, which the recipe lacks"),
        ("store:toy", ("negative", "neutral"), "knows all of the recipe's labels"),
    ],
)
def test_what_cannot_be_extended_is_refused(
    known: Recipe, toy_base: Path, base: str | None, labels: tuple[str, ...], said: str
) -> None:
    recipe = Recipe.parse({**known.model_dump(), "base": base or str(toy_base), "task": single(*labels)})
    with pytest.raises(RecipeError, match=said):
        extend.before(recipe, resolve(recipe.base).folder)


def test_a_recipe_without_a_test_file_is_refused(toy_recipe: Toy) -> None:
    with pytest.raises(RecipeError, match=r"tuning\.extend needs data\.test"):
        toy_recipe(task=single("a", "b"), tuning={**FAST, "extend": {}})
