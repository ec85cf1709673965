"""Explanations add up to the answer, name the words where they stand, and find what a model has learnt."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import Predictor, Recipe, explain, load, train
from engine.errors import InputError, KeelError
from engine.explain import Explainer, words
from engine.predictor import Tokens
from engine.tasks.heads import HeadSpec
from tests.engine.test_tasks import recipe as task_recipe

Toy = Callable[..., Recipe]
Write = Callable[[str, str | bytes], Path]
TEXT = "Profit fell 12% on weak demand"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, toy_base: Path, headlines: list[dict[str, Any]]) -> Path:
    """A home whose model has learnt that one word makes a headline negative."""
    home = tmp_path_factory.mktemp("explained")
    lines = []
    for number, row in enumerate([item for item in headlines if item["lang"] == "en"][::15][:240]):
        parts = row["title"].split()
        title = " ".join([*parts[:3], "cyber" if number % 2 else "profit", *parts[3:]])
        lines.append(json.dumps({**row, "title": title, "sentiment": "negative" if number % 2 else "positive"}))
    (home / "rows.jsonl").write_text("\n".join(lines) + "\n")
    made = Recipe.parse(
        {
            "name": "toy",
            "base": str(toy_base),
            "task": {
                "kind": "classify",
                "heads": {
                    "sentiment": {"labels": ["negative", "positive"]},
                    "topics": {
                        "labels": sorted({t for item in headlines for t in item["topics"]}),
                        "multi_label": True,
                    },
                },
            },
            "data": {"train": str(home / "rows.jsonl"), "columns": {"text": "title"}, "split": {"group": "story"}},
            "tuning": {"epochs": 6, "learning_rate": 5e-3, "batch_tokens": 512, "max_length": 48},
            "export": {"format": "none"},
            "track": [],
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(home))
        train(made)
    return home


@pytest.fixture
def toy(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Predictor:
    monkeypatch.setenv("KEEL_HOME", str(trained))
    return load("toy")


def test_the_words_add_up_to_the_difference_of_the_logits(toy: Predictor) -> None:
    explainer = Explainer(toy)
    found = explainer.explain(TEXT)
    assert {one.head for one in found} == {"sentiment", "topics"}
    for one in found:
        total = sum(word.attribution for word in one.words)
        assert total == pytest.approx(one.logit - one.baseline + one.gap, abs=1e-9)
        assert abs(one.gap) <= explain.TOLERANCE * max(1.0, abs(one.logit - one.baseline))
        head = next(head for head in toy.spec.heads if head.name == one.head)
        assert one.label is not None
        place = head.labels.index(one.label)
        assert one.logit == pytest.approx(toy.logits([TEXT])[one.head][0, place], abs=1e-5)
        assert one.probability == pytest.approx(toy.probabilities([TEXT])[one.head][0, place], abs=1e-5)
        assert one.answered == pytest.approx(one.probability, abs=1e-5)
    assert explainer.explain(TEXT) == found


@pytest.mark.parametrize(
    "text", [TEXT, "  Profit,\tfell\u3000利润下降 – “12.5%” ", "利润", "x" * 900, "\ud83d half", ""]
)
def test_words_stand_where_they_say(toy: Predictor, text: str) -> None:
    (one,) = Explainer(toy).explain(text, "sentiment", "negative")
    assert [text[word.start : word.end] for word in one.words] == [word.text for word in one.words]
    assert all(word.text.strip() == word.text != "" for word in one.words)
    assert all(before.end <= after.start for before, after in zip(one.words, one.words[1:], strict=False))
    if "利润" in text:
        assert {"利", "润"} <= {word.text for word in one.words}
    if text == TEXT:
        assert " ".join(word.text for word in one.words) == "Profit fell 12 % on weak demand"


def test_sentencepieces_word_marks_and_the_bytes_of_a_character_stay_with_their_word() -> None:
    offsets = np.array([(0, 0), (0, 3), (3, 4), (4, 5), (4, 5), (5, 6), (0, 0)])
    tokens = Tokens([0] * 7, offsets, np.array([-1, 0, 0, 0, 0, 0, -1]))
    found = words(tokens, np.array([9.0, 1, 2, 4, 8, 16, 9]), ["up  涨停"])
    assert [(word.text, word.attribution) for word in found] == [("up", 1.0), ("涨", 14.0), ("停", 16.0)]


def test_a_word_that_decides_the_label_gets_the_most(toy: Predictor) -> None:
    explainer = Explainer(toy)
    for text in ("Halden opens a cyber plant in spring", "A cyber bank sells its ships"):
        (one,) = explainer.explain(text, "sentiment", "negative")
        assert one.probability > 0.8
        assert max(one.words, key=lambda word: word.attribution).text == "cyber"


def test_what_answers_is_told_apart_from_what_is_explained(toy: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are coarser than fp32's, as those of int8 are."""
    exact = toy.probabilities([TEXT])["sentiment"][0, 0]
    session = toy.texts._session
    monkeypatch.setattr(toy.texts, "_session", lambda ids: [np.round(logits, 1) for logits in session(ids)])
    toy.backend = "onnx"
    (one,) = Explainer(toy).explain(TEXT, "sentiment", "negative")
    assert one.backend == "onnx"
    assert one.answered == pytest.approx(toy.probabilities([TEXT])["sentiment"][0, 0], abs=1e-12)
    assert one.probability == pytest.approx(exact, abs=1e-5)
    assert one.probability != one.answered


def test_pairs_have_words_in_both_texts(toy_base: Path, write: Write) -> None:
    train(task_recipe("rank", toy_base, write).changed({"export": {"format": "none"}}))
    (one,) = Explainer(load("rank")).explain(("Halden Motors 3", "Halden Motors sues a rival in May"))
    assert (one.head, one.label) == ("relevance", None)
    assert [word.text for word in one.words if word.part == 0] == ["Halden", "Motors", "3"]
    assert [word.text for word in one.words if word.part == 1] == "Halden Motors sues a rival in May".split()
    assert sum(word.attribution for word in one.words) == pytest.approx(one.logit - one.baseline + one.gap)
    with pytest.raises(InputError, match="reads pairs of texts"):
        Explainer(load("rank")).explain("alone")


def test_prompts_beside_the_weights_are_explained_too(toy_recipe: Toy) -> None:
    train(toy_recipe(tuning={"epochs": 1, "batch_tokens": 512, "max_length": 48, "method": "prompt"}))
    (one,) = Explainer(load("toy")).explain(TEXT, "sentiment", "negative")
    assert sum(word.attribution for word in one.words) == pytest.approx(one.logit - one.baseline + one.gap)
    assert any(word.attribution for word in one.words)


@pytest.mark.parametrize(
    ("task", "kind", "told"),
    [
        ("tag", "tags", "a model of the task tag"),
        ("extract", "span", "a model of the task extract"),
        ("embed", "vector", "a model of the task embed"),
        ("generate", "answer", "a model of the task generate"),
        ("choose", "single", "a model of the task choose"),
        ("classify", "regression", "a model of numbers alone"),
    ],
)
def test_what_cannot_be_explained_is_refused(toy: Predictor, task: str, kind: Any, told: str) -> None:
    toy.spec = replace(toy.spec, task=task, heads=(HeadSpec("head", kind, ("a", "b")),))
    with pytest.raises(InputError, match=f"toy@1 is {told}, whose answers explain does not take apart"):
        Explainer(toy)


def test_heads_and_labels_are_checked_and_a_sum_that_does_not_hold_is_told(
    toy: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(toy)
    with pytest.raises(InputError, match="has no head 'mood' to explain; it has: sentiment, topics"):
        explainer.explain(TEXT, "mood")
    with pytest.raises(InputError, match="has no label 'bad' here; it has: negative, positive"):
        explainer.explain(TEXT, "sentiment", "bad")
    assert [one.head for one in explainer.explain(TEXT, label="cyber")] == ["topics"]
    monkeypatch.setattr(explain, "TOLERANCE", 0.0)
    monkeypatch.setattr(explain, "MOST_STEPS", 4)
    with pytest.raises(KeelError, match=r"after 4 steps the attributions still miss .* cannot be explained"):
        explainer.explain(TEXT, "sentiment", steps=2)


def test_long_texts_are_read_in_small_batches_with_equal_results(
    toy: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer, long = Explainer(toy), "demand fell " * 100
    (whole,) = explainer.explain(long, "sentiment", "negative")
    seen: list[int] = []
    forward = explainer._model.forward

    def watched(ids: Any, *rest: Any, **options: Any) -> Any:
        seen.append(ids.numel())
        return forward(ids, *rest, **options)

    monkeypatch.setattr(explainer._model, "forward", watched)
    monkeypatch.setattr(explain, "BATCH_TOKENS", 150)
    (pieces,) = explainer.explain(long, "sentiment", "negative")
    assert max(seen) <= 150
    assert [one.attribution for one in pieces.words] == pytest.approx(
        [one.attribution for one in whole.words], abs=1e-5
    )
    assert whole.words[-1].end < len(long) / 3  # what was cut off has no attribution


def test_the_command_prints_colours_json_and_a_page(
    toy: Predictor, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from engine.cli import app

    def run(*arguments: str) -> str:
        app(["explain", "toy", *arguments], standalone_mode=False)
        return capsys.readouterr().out

    hostile = "<script>alert(1)</script> & profit"
    told = json.loads(run(TEXT, hostile, "--head", "sentiment", "--json"))
    assert told["explained"] == "torch, fp32"
    assert [one["text"] for one in told["explanations"]] == [TEXT, hostile]
    assert told["explanations"][0]["words"][0].keys() == {"part", "start", "end", "text", "attribution"}
    shown = run(hostile, "--label", "negative", "--html", str(tmp_path / "why.html"))
    assert "sentiment: negative" in shown
    assert hostile in shown
    assert "explained:" in shown
    page = (tmp_path / "why.html").read_text()
    assert "<script>" not in page
    assert page.count('title="') == 13
    with pytest.raises(InputError, match="does not exist; make it"):
        run(TEXT, "--html", str(tmp_path / "none" / "why.html"))
