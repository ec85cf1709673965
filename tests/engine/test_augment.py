"""Augmentation makes rows of the train part alone, keeps their labels, and lets none leak into another part."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine import Recipe, Store
from engine.data.augment import augmentation, measure, methods
from engine.data.augment.augmentation import Report, augment, keeps_meaning, write
from engine.data.augment.methods import Method, Options
from engine.errors import InputError
from engine.text.languages import detect
from engine.training import Quiet, prepare

Toy = Callable[..., Recipe]
Rows = list[dict[str, Any]]


def made(recipe: Recipe, options: Options, **rest: Any) -> tuple[Rows, Report]:
    return augment(recipe, options, watcher=Quiet(), **rest)


def method_of(monkeypatch: pytest.MonkeyPatch, rewrite: Callable[[str], str], *, free: bool = False) -> None:
    """Any function of a text as the method of the next augmentation, in the place of a translator's answer."""

    def each(texts: Sequence[str]) -> Iterator[str]:
        return map(rewrite, texts)

    monkeypatch.setattr(augmentation, "build", lambda *given: Method(each, None, free, "a function"))


def test_new_rows_come_from_train_with_their_labels(toy_recipe: Toy, tmp_path: Path) -> None:
    recipe = toy_recipe()
    rows, report = made(recipe, Options("typos"), share=0.5)
    parts, _, _ = prepare(recipe, tmp_path)
    train = {row.origin: row for row in parts.train}
    assert report.added == len(rows) == pytest.approx(0.5 * len(train), abs=5)
    assert report.tried == report.added + sum(report.dropped.values())
    for row in rows:
        source = train[row["augmented_from"]]
        assert row["sentiment"] == source.labels["sentiment"]
        assert (tuple(row["topics"]), row["story"]) == (source.labels["topics"], source.group)
        assert row["method"] == "typos"
        assert row["title"] != source.text
    assert report.labels["sentiment"] == dict(Counter(row["sentiment"] for row in rows))


def test_the_same_seed_makes_the_same_rows(toy_recipe: Toy) -> None:
    first, again, other = (made(toy_recipe(), Options("typos", seed=seed), share=0.2)[0] for seed in (1, 1, 2))
    assert first == again != other


def test_a_share_over_one_uses_rows_again(toy_recipe: Toy) -> None:
    rows, report = made(toy_recipe(), Options("typos"), share=2.5)
    uses = Counter(row["augmented_from"] for row in rows)
    assert report.tried == round(2.5 * report.train_rows)
    assert set(uses.values()) <= {1, 2, 3}
    assert len({row["title"] for row in rows}) == len(rows)


def test_the_recipe_trains_with_the_new_file_and_finds_its_own_split_again(toy_recipe: Toy, tmp_path: Path) -> None:
    recipe = toy_recipe()
    rows, report = made(recipe, Options("typos"))
    beside = write(tmp_path / "more.jsonl", rows, report)
    assert json.loads(beside.read_text(encoding="utf-8"))["added"] == len(rows)
    data = {**recipe.data.model_dump(), "train": [*recipe.data.train, str(tmp_path / "more.jsonl")]}
    before, _, _ = prepare(recipe, tmp_path)
    after, _, dropped = prepare(toy_recipe(data=data), tmp_path)
    assert dropped == 0
    assert (after.dev, after.calibration, after.test) == (before.dev, before.calibration, before.test)
    assert len(after.train) == len(before.train) + len(rows)
    again, second = made(toy_recipe(data=data), Options("typos", seed=2), share=0.2)
    assert second.train_rows == report.train_rows  # augmented rows are not augmented again
    assert all(str(tmp_path / "rows.jsonl") in row["augmented_from"] for row in again)


def test_a_new_row_that_stands_in_another_part_is_dropped_and_counted(
    toy_recipe: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = toy_recipe()
    parts, _, _ = prepare(recipe, tmp_path)
    held = iter([parts.test[0].text.upper(), parts.dev[0].text + " indeed", parts.calibration[0].text])
    method_of(monkeypatch, lambda text: next(held, text + " as three wholly new words tell"))
    rows, report = made(recipe, Options("typos"))
    assert report.dropped == {"leak": 3}
    assert report.leaks == {"normalised": 1, "near": 1, "exact": 1}
    assert len(rows) == report.train_rows - 3


def test_rewritings_that_bring_nothing_are_dropped_and_counted(
    toy_recipe: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["", "  ", "The very same words", "the very same, words!", "Numbers 7 come in", "It did not rise"])
    method_of(monkeypatch, lambda text: next(answers, text.upper()), free=True)
    recipe = toy_recipe()
    _, report = made(recipe, Options("typos"))
    assert report.dropped["empty"] == 2
    assert report.dropped["unchanged"] == report.tried - 6
    assert report.dropped["meaning"] + report.dropped.get("duplicate", 0) + report.added == 4


@pytest.mark.parametrize(
    ("text", "rewritten", "kept"),
    [
        ("Profit fell 12% to EUR 3.5 mn", "Earnings were down 12%, at EUR 3.5 mn", True),
        ("Profit fell 12% to EUR 3.5 mn", "Earnings were down 21%, at EUR 3.5 mn", False),
        ("Profit will not fall", "Earnings will fall", False),
        ("Profit won't fall", "Earnings are not going to fall", True),
        ("Profit fell", "Here is the text in other words, as you asked me to write it: profit fell", False),
        ("利润下降12%", "利润减少了12%", True),
    ],
)
def test_a_rewriting_keeps_length_numbers_and_negation(text: str, rewritten: str, kept: bool) -> None:
    assert keeps_meaning(text, rewritten) is kept


def test_synonyms_of_a_file_are_put_into_train_rows(toy_recipe: Toy, tmp_path: Path) -> None:
    (tmp_path / "synonyms.txt").write_text("profit: earnings\nshares: stock\nquarter: three months\n")
    rows, report = made(toy_recipe(), Options("synonyms", strength=1, synonyms=str(tmp_path / "synonyms.txt")))
    assert report.added == len(rows) > 5
    assert report.dropped["unchanged"] > 100
    assert all(any(word in row["title"].lower() for word in ("earnings", "stock", "three months")) for row in rows)


def test_synonyms_without_a_thesaurus_are_neighbours_in_the_train_texts(
    toy_recipe: Toy, monkeypatch: pytest.MonkeyPatch, session_home: Path
) -> None:
    monkeypatch.setenv("KEEL_HOME", str(session_home))
    monkeypatch.setattr(methods, "WORDNET", session_home / "no-wordnet")
    recipe = toy_recipe()
    rows, report = made(recipe, Options("synonyms", strength=0.3))
    assert report.by == f"neighbours by {recipe.base}"
    assert report.added + report.dropped["unchanged"] == report.tried - report.dropped.get("leak", 0)
    assert rows


def test_only_texts_in_the_translators_language_are_rewritten(
    toy_recipe: Toy, tmp_path: Path, tiny_t5: Path, headlines: list[dict[str, Any]]
) -> None:
    chinese = [item for item in headlines if item["lang"] == "zh"][:30]
    with (tmp_path / "rows.jsonl").open("a") as stream:
        stream.writelines(json.dumps(item) + "\n" for item in chinese)
    recipe = toy_recipe(data={**toy_recipe().data.model_dump(), "train": [str(tmp_path / "rows.jsonl")]})
    options = Options("back_translation", model=str(tiny_t5), back=str(tiny_t5))
    _, report = made(recipe, options, share=0.05)
    train = prepare(recipe, tmp_path)[0].train
    assert report.eligible == report.train_rows - sum(detect(row.text) == "zh" for row in train) < report.train_rows
    assert report.tried == report.added + sum(report.dropped.values())
    with pytest.raises(InputError, match="no train row is in language 'fi'; give --language another"):
        made(toy_recipe(), options, language="fi")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"method": "magic"}, "--method magic: choose typos, synonyms, back_translation, paraphrase"),
        ({"method": "typos", "model": "x"}, "--model is nothing that typos uses; it takes --strength"),
        ({"method": "paraphrase", "strength": 0.1}, "--strength is nothing that paraphrase uses"),
        ({"method": "paraphrase"}, "paraphrase needs --model"),
        ({"method": "back_translation", "model": "x"}, "takes --model and --back, one model a direction"),
        ({"method": "back_translation", "model": "x", "url": "http://x", "back": "y"}, "with --url leave them out"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Options(**options)


def test_a_task_or_share_that_cannot_be_augmented_is_refused(toy_recipe: Toy) -> None:
    named = {"labels": ["company"], "entities": True}
    for task in ({"kind": "tag", "labels": ["company"]}, {"kind": "classify", "heads": {"names": named}}):
        with pytest.raises(InputError, match="entities are places in them"):
            made(toy_recipe(task=task), Options("typos"))
    with pytest.raises(InputError, match="--share 0: give a number over 0"):
        made(toy_recipe(), Options("typos"), share=0)
    with pytest.raises(InputError, match="--measure compares answers of the tasks"):
        measure.check_task(toy_recipe(task={"kind": "embed"}))


def test_entities_stay_behind_and_the_other_answers_come_along(toy_recipe: Toy) -> None:
    task = toy_recipe().task.model_dump()
    task["heads"]["companies"] = {"labels": ["company"], "entities": True}
    data = {**toy_recipe().data.model_dump(), "columns": {"text": "title", "companies": "spans"}}
    rows, report = made(toy_recipe(task=task, data=data), Options("typos"))
    assert report.added == len(rows) > 100
    assert all("spans" not in row and row["sentiment"] for row in rows)


def test_whether_it_helped_is_measured_on_the_same_dev_rows_and_nothing_is_stored(
    toy_recipe: Toy, tmp_path: Path
) -> None:
    recipe = toy_recipe()
    rows, report = made(recipe, Options("typos"))
    write(tmp_path / "more.jsonl", rows, report)
    found = measure.measure(recipe, str(tmp_path / "more.jsonl"), watcher=Quiet())
    assert found.rows == len(prepare(recipe, tmp_path)[0].dev)
    assert found.difference == pytest.approx(found.augmented - found.without)
    assert found.low <= found.difference <= found.high
    assert found.without != found.augmented
    assert Store().names() == []
