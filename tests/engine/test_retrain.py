"""Feedback makes a challenger of the champion, and only a better one takes its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import Recipe, Store, load, retrain, train
from engine.decision import decisions
from engine.errors import InputError, KeelError
from engine.feedback import Feedback, FeedbackLog, opened

Toy = Callable[..., Recipe]
LABELS = ["negative", "neutral", "positive"]
LENIENT = ["gates.ask=[better, forgetting]", "gates.margin=0.9", "gates.forgetting=0.9"]
"""A toy of width 32 learns little: what is tested is the road, not what it makes of the rows."""


@pytest.fixture
def english(headlines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in headlines if item["lang"] == "en"][::7]


@pytest.fixture
def champion(toy_recipe: Toy, english: list[dict[str, Any]], tmp_path: Path) -> Any:
    file = tmp_path / "base.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in english[:200]), encoding="utf-8")
    recipe = toy_recipe(
        task={"kind": "classify", "heads": {"sentiment": {"labels": LABELS}}},
        data={"train": str(file), "columns": {"text": "title"}, "on_leak": "drop"},
    )
    return train(recipe).version


@pytest.fixture
def log(tmp_path: Path) -> FeedbackLog:
    return opened(f"sqlite:///{tmp_path}/keel.db")


def say(log: FeedbackLog, items: list[dict[str, Any]], label: str | None = None, model: str = "toy@1") -> list[str]:
    """Three people label each of the headlines."""
    ids = []
    with log.database.write() as connection:
        for item in items:
            for rater in ("ann", "bob", "cat"):
                one = Feedback(
                    "t", model, item["id"], item["title"], {"sentiment": {"label": "neutral", "probability": 0.4}},
                    correction={"sentiment": label or item["sentiment"]}, app="console", kind="label", rater=rater,
                    consent=True, id=f"{item['id']}-{rater}", time="2026-01-01T00:00:00Z",
                )  # fmt: skip
                log.add(connection, one)
                ids.append(one.id)
    return ids


def test_what_holds_every_gate_is_promoted_and_says_what_it_learnt(
    champion: Any, log: FeedbackLog, english: list[dict[str, Any]], home: Path
) -> None:
    ids = say(log, english[200:240])
    before = load("toy").probabilities(["Profit fell"])["sentiment"].tolist()
    decision = retrain("toy", log, settings=LENIENT)
    assert decision.promoted
    assert (decision.champion, decision.challenger) == ("toy@1", "toy@2")
    assert Store().get("toy").number == 2
    print(decision.report.read_text())
    print(json.dumps(decision.as_dict(), indent=1)[:3000])
    manifest = Store().get("toy").manifest()
    assert set(manifest["retrain"]["learnt"]) <= set(ids)
    assert decision.report.exists()
    assert not list((home / "decisions" / "toy").glob("*/train.jsonl"))
    with pytest.raises(InputError, match="no feedback to learn from"):
        retrain("toy", log)
    assert Store().rollback("toy").number == 1
    assert load("toy").probabilities(["Profit fell"])["sentiment"].tolist() == before


def test_what_is_not_better_is_refused_and_nothing_changes(
    champion: Any, log: FeedbackLog, english: list[dict[str, Any]]
) -> None:
    say(log, english[200:240], label="negative")
    decision = retrain("toy", log)
    print(decision.report.read_text())
    assert not decision.promoted
    assert Store().get("toy") == champion
    assert "better" in decision.why
    assert decisions("toy") == [decision]
    assert [gate.name for gate in decision.gates] == [
        "better", "forgetting", "slices", "calibration", "robustness", "fairness", "latency", "size",
    ]  # fmt: skip


def test_a_new_label_is_learnt_and_judged_by_rows_kept_from_training(
    champion: Any, log: FeedbackLog, english: list[dict[str, Any]]
) -> None:
    with pytest.raises(InputError, match="a new label needs 10 rows"):
        say(log, english[200:205], label="mixed")
        retrain("toy", log)
    say(log, english[205:240], label="mixed")
    decision = retrain("toy", log, settings=LENIENT)
    print(decision.report.read_text())
    assert decision.promoted
    assert decision.feedback.new_labels == ("mixed",)
    assert len(decision.feedback.held) == 3 * 8
    assert load("toy").probabilities(["Profit fell"])["sentiment"].shape == (1, 4)
    say(log, english[240:250], model="toy@2")
    second = retrain("toy", log, settings=LENIENT)
    print(second.report.read_text())
    assert second.champion == "toy@2"
    assert second.feedback.new_labels == ()
    assert set(second.feedback.held) == set(decision.feedback.held)
    assert not set(second.feedback.learnt) & set(decision.feedback.learnt)
