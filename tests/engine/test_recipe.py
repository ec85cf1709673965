"""A recipe is read whole or refused with all its faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import InputError, RecipeError
from engine.recipe import Recipe
from engine.resources import packaged

GOOD = """\
name: news
task:
  kind: classify
  heads:
    sentiment: {labels: [negative, positive]}
data:
  train: rows.jsonl
"""
Write = Callable[[str, str], Path]


def test_defaults_fill_what_a_recipe_leaves_out(write: Write) -> None:
    recipe = Recipe.load(write("news.yaml", GOOD))
    assert (recipe.base, recipe.seeds, recipe.data.train) == ("minilm", [13], ["rows.jsonl"])


def test_all_faults_are_told_at_once_with_line_path_and_nearest_key(write: Write) -> None:
    text = GOOD + "tuning:\n  learning_rat: 0.1\n  epochs: zero\nexprot: {}\n"
    with pytest.raises(RecipeError) as caught:
        Recipe.load(write("news.yaml", text))
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "line 9: tuning.learning_rat: unknown key; did you mean 'learning_rate'?" in str(caught.value)
    assert "line 10: tuning.epochs: " in str(caught.value)
    assert "line 11: exprot: unknown key; did you mean 'export'?" in str(caught.value)
    assert "'zero'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a recipe is a YAML mapping"),
        ("- 1\n", "a recipe is a YAML mapping"),
        ("name: [\n", "not YAML"),
        (GOOD.replace("[negative, positive]", "[negative, negative]"), "labels stand twice: negative"),
        (GOOD.replace("classify", "clasify"), "task.kind"),
        (GOOD.replace("name: news\n", ""), "name: missing"),
    ],
)
def test_what_is_no_recipe_is_refused_with_the_reason(write: Write, text: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        Recipe.load(write("news.yaml", text))


def test_a_key_that_stands_twice_is_told_with_its_line(write: Write) -> None:
    path = write("twice.yaml", "name: x\ntuning: {epochs: 1}\ndata:\n  train: a\n  train: b\ntuning: {epochs: 2}\n")
    with pytest.raises(RecipeError, match=r"line 5: data\.train: stands twice; keep one\n.*line 6: tuning: stands"):
        Recipe.load(path)


def test_a_recipe_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9\n".encode("latin-1"))
    with pytest.raises(RecipeError, match="not UTF-8"):
        Recipe.load("latin.yaml")


def test_settings_replace_values_and_read_numbers_as_people_write_them(write: Write) -> None:
    recipe = Recipe.load(write("news.yaml", GOOD), ["tuning.epochs=2", "tuning.learning_rate=3e-5", "seeds=[1, 2]"])
    assert (recipe.tuning.epochs, recipe.tuning.learning_rate, recipe.seeds) == (2, 3e-5, [1, 2])


def test_a_setting_without_a_value_is_refused(write: Write) -> None:
    with pytest.raises(RecipeError, match="path=value"):
        Recipe.load(write("news.yaml", GOOD), ["tuning.epochs"])


def test_a_missing_recipe_and_an_unset_variable_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such recipe"):
        Recipe.load("nowhere.yaml")
    monkeypatch.delenv("KEEL_NOT_SET", raising=False)
    with pytest.raises(InputError, match="KEEL_NOT_SET is not set"):
        Recipe.load("${KEEL_NOT_SET}/news.yaml")


def test_the_digest_is_that_of_the_content(write: Write) -> None:
    recipe = Recipe.load(write("news.yaml", GOOD))
    assert recipe.digest() == Recipe.load(write("other.yaml", "# a note\n" + GOOD)).digest()
    assert recipe.digest() != Recipe.load(write("news.yaml", GOOD), ["tuning.epochs=9"]).digest()


@pytest.mark.parametrize("path", sorted((packaged() / "recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_BENCH_DATA", "/data")
    assert Recipe.load(path).name
