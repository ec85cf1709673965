"""A chat model that answers with a label's word: what it reads, what is stored, and what answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import Recipe, load, speed, train
from engine.errors import InputError, RecipeError
from engine.recipe import Choose
from engine.tasks import causal, verbalizer
from engine.tasks.encoding import Collator
from engine.tasks.heads import HeadSpec

Toy = Callable[..., Recipe]
LABELS = ("negative", "neutral", "positive")
WORDS = {"negative": "bad", "neutral": "so", "positive": "good"}
TEXTS = ["Profit fell", "利润下降了", "A record year for the mill, and a new one begins"]


@pytest.fixture
def toy_choose(toy_chat_base: Path, tmp_path: Path, headlines: list[dict[str, Any]]) -> Toy:
    """A recipe over 150 headlines; keyword arguments replace sections."""
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in headlines[::28][:150]), encoding="utf-8")

    def make(**sections: Any) -> Recipe:
        values: dict[str, Any] = {
            "name": "toy-choose",
            "base": str(toy_chat_base),
            "task": {"kind": "choose", "labels": list(LABELS), "words": WORDS},
            "data": {"train": str(file), "columns": {"text": "title", "label": "sentiment"}, "on_leak": "drop"},
            "tuning": {"epochs": 1, "batch_tokens": 1024, "max_length": 128, "learning_rate": 1e-2},
            "track": [],
        }
        return Recipe.parse({**values, **sections})

    return make


def test_logits_are_those_of_the_labels_tokens_alone_and_among_others(toy_chat_base: Path) -> None:
    task = Choose(kind="choose", labels=list(LABELS), words=WORDS)
    prompt = verbalizer.Prompt.of(task, toy_chat_base)
    model = verbalizer.VerbalizedModel(causal.load(toy_chat_base), HeadSpec("label", "single", LABELS), prompt.tokens())
    ids = [prompt.ids(text, 128) for text in TEXTS]
    with torch.inference_mode():
        together = model(**Collator(1)([{"input_ids": one} for one in ids]))["logits_label"]
        for row, one in enumerate(ids):
            whole = model.encoder(torch.tensor([one])).logits[0, -1]
            assert torch.allclose(together[row], whole[prompt.tokens()], atol=1e-5)
    model.lean(prompt, 128)
    empty = torch.tensor([prompt.ids(verbalizer.EMPTY, 128)])
    assert torch.allclose(model(empty, torch.ones_like(empty))["logits_label"], torch.zeros(3), atol=1e-5)


def test_a_long_text_loses_its_end_and_the_question_stays(toy_chat_base: Path) -> None:
    prompt = verbalizer.Prompt.of(Choose(kind="choose", labels=list(LABELS), words=WORDS), toy_chat_base)
    for text in ("Profit fell " * 200, "利润" * 300):
        ids = prompt.ids(text, 128)
        assert len(ids) <= 128
        assert prompt.question in prompt.chat.text(ids)
        assert prompt.chat.text(ids).removeprefix("user\n").startswith(text[:6])


def test_words_that_begin_alike_are_refused(toy_chat_base: Path) -> None:
    task = Choose(kind="choose", labels=["up", "down"], words={"up": "good", "down": "good."})
    with pytest.raises(RecipeError, match=r"'good' and 'good\.' begin with the same token"):
        verbalizer.Prompt.of(task, toy_chat_base).tokens()


@pytest.mark.parametrize("method", ["zero_shot", "prompt", "prefix", "p_tuning", "lora", "full"])
def test_a_method_makes_a_version_that_answers_alike_in_a_fresh_process(toy_choose: Toy, method: str) -> None:
    done = train(toy_choose(tuning={"method": method, "epochs": 1, "batch_tokens": 1024, "learning_rate": 1e-2}))
    trainable = done.version.manifest()["parameters"]["trainable"]
    assert (trainable == 0) == (method == "zero_shot")
    found = load("toy-choose").logits(TEXTS)["label"]
    assert found.shape == (3, 3)
    script = (
        "import sys, json; from engine import load; "
        "print(json.dumps(load('toy-choose').logits(json.loads(sys.argv[1]))['label'].tolist()))"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", script, json.dumps(TEXTS)], capture_output=True, text=True, check=True
    )
    assert np.array_equal(json.loads(fresh.stdout), found)
    answer = load("toy-choose").predict(TEXTS[:1])[0]["label"]
    assert answer.label in LABELS
    assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_soft_prompts_learn(toy_choose: Toy) -> None:
    prompts = {"method": "prompt", "epochs": 6, "batch_tokens": 1024, "learning_rate": 5e-2, "early_stopping": 0}
    history = train(toy_choose(tuning=prompts)).version.manifest()["history"]
    assert history[-1]["loss"] < history[0]["loss"]


def test_an_encoder_cannot_choose(toy_choose: Toy, toy_base: Path) -> None:
    with pytest.raises(RecipeError, match="task choose needs one of the kind causal"):
        train(toy_choose(base=str(toy_base)))


def test_its_one_form_is_measured(toy_choose: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "ROUNDS", 1)
    monkeypatch.setattr(speed, "SINGLE", 2)
    monkeypatch.setattr(speed, "TIMED", 4)
    train(toy_choose(tuning={"method": "zero_shot", "max_length": 128}, export={"format": "none"}))
    (only,) = speed.measure("toy-choose").forms
    assert (only.form, only.quality) == ("torch", {"label": 1.0})
    assert only.disk_mb > 0
    with pytest.raises(InputError, match="there are torch"):
        speed.measure("toy-choose", only=["onnx-int8"])
