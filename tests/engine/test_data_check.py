"""A check tells what is in the data, what training would refuse, and which labels are probably wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Recipe
from engine.data import suspects
from engine.data.check import Report, check
from engine.data.subject import Subject
from engine.errors import DataError, InputError
from engine.training import Quiet

Toy = Callable[..., Recipe]
Write = Callable[[str, str | bytes], Path]


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def of_file(file: Path, base: Path, *, most: int = 0, **columns: Any) -> Report:
    return check(Subject.of_file(str(file), base=str(base), **columns), most=most, watcher=Quiet())


@pytest.fixture
def labelled(write: Write, headlines: list[dict[str, Any]]) -> Path:
    rows = [
        {"text": item["title"], "label": item["sentiment"], "topics": item["topics"], "story": item["story"]}
        for item in headlines[::20]
    ]
    return write("rows.jsonl", lines(rows))


@pytest.fixture
def exported(session_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy base is exported once for all tests."""
    monkeypatch.setenv("KEEL_HOME", str(session_home))


def test_a_recipes_data_are_described(toy_recipe: Toy) -> None:
    report = check(Subject.of_recipe(toy_recipe()), most=0, watcher=Quiet())
    assert (report.rows, report.rejected, report.faults) == (240, [], [])
    assert sum(report.parts.values()) == 240
    assert sum(report.labels[0].rows.values()) == 240
    assert set(report.labels[0].rows) == {"negative", "neutral", "positive"}
    titles = next(field for field in report.fields if field.name == "title")
    assert (titles.types, titles.missing) == ({"str": 240}, 0)
    assert 0 < report.words["min"] <= report.words["50%"] <= report.words["max"] <= report.tokens["max"]
    assert json.loads(json.dumps(report.as_dict()))["ok"] is True


def test_a_file_is_described_by_its_columns(labelled: Path, toy_base: Path) -> None:
    plain = of_file(labelled, toy_base)
    assert [balance.head for balance in plain.labels] == ["label"]
    both = of_file(labelled, toy_base, labels=["label", "topics"], group="story")
    assert [balance.head for balance in both.labels] == ["label", "topics"]
    topics = [topic for line in labelled.read_text("utf-8").splitlines() for topic in json.loads(line)["topics"]]
    assert sum(both.labels[1].rows.values()) == len(topics)
    assert not both.faults


def test_texts_without_labels_are_described_too(write: Write, toy_base: Path) -> None:
    file = write("rows.csv", 'text,when\n"利润下降，需求疲软",1\n利润下降 需求疲软,2\nProfit fell,\n" ",4\n')
    report = of_file(file, toy_base)
    assert (report.rows, report.labels, report.parts) == (3, [], {})
    assert report.duplicates == {"exact": 1, "near": 0, "conflicting": 0}
    assert report.words["max"] == 8
    assert [(field.name, field.missing) for field in report.fields] == [("text", 0), ("when", 1)]
    assert report.faults == ["1 rows are bad; first: line 5: field 'text' is empty"]


def test_duplicates_with_other_labels_are_named(write: Write, labelled: Path, toy_base: Path) -> None:
    first = json.loads(labelled.read_text(encoding="utf-8").splitlines()[0])
    other = {"negative": "positive"}.get(first["label"], "negative")
    words = first["text"].split()
    again = [
        {**first, "text": first["text"].upper()},
        {**first, "text": first["text"] + "!", "label": other},
        {**first, "text": " ".join([*words[:-1], "changed"]), "label": other},
    ]
    labelled.write_text(labelled.read_text(encoding="utf-8") + lines(again), encoding="utf-8")
    report = of_file(labelled, toy_base)
    count = report.rows
    assert report.duplicates == {"exact": 2, "near": 1, "conflicting": 2}
    found = {(one.kind, one.row.rsplit(":")[-1], one.other.rsplit(":")[-1], *one.differs) for one in report.conflicts}
    assert found == {("exact", str(count - 1), "1", "label"), ("near", str(count), "1", "label")}
    assert "2 rows repeat another one with a different label" in report.remarks


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"split": {"calibration": 0}}, "data.split.calibration: 0 leaves no rows to calibrate on"),
        ({"split": {"test": 0.96, "dev": 0.01, "calibration": 0.01}}, "too few rows"),
        (
            {"where": {"sentiment": ["neutral"]}, "split": {"calibration": 0.3}},
            "head sentiment: train has fewer than two of its labels",
        ),
        ({"columns": {"text": "title", "sentiment": "lang"}, "max_rejected": 0.0}, None),
    ],
)
def test_what_training_would_refuse_is_a_fault(toy_recipe: Toy, change: dict[str, Any], fault: str | None) -> None:
    data = {**toy_recipe().data.model_dump(), **change}
    report = check(Subject.of_recipe(toy_recipe(data=data)), most=0, watcher=Quiet())
    assert len(report.faults) == 1
    assert (fault or "of 240 rows are bad, over data.max_rejected = 0") in report.faults[0]
    assert "/tmp" not in report.faults[0].replace(data["train"][0], "")


def test_a_leak_into_a_given_test_file_is_a_fault(toy_recipe: Toy, tmp_path: Path) -> None:
    test = tmp_path / "test.jsonl"
    test.write_text("".join((tmp_path / "rows.jsonl").read_text().splitlines(keepends=True)[:20]))
    data = {**toy_recipe().data.model_dump(), "test": str(test)}
    report = check(Subject.of_recipe(toy_recipe(data=data)), most=0, watcher=Quiet())
    assert report.faults[0].startswith("20 leaks between the parts (20 exact)")
    assert report.faults[0].endswith("... and 15 more")


def test_a_head_with_too_few_labels_to_calibrate_on_is_a_fault(toy_recipe: Toy, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    file.write_text(lines([{**row, "topics": None} if n % 8 else row for n, row in enumerate(rows)]), encoding="utf-8")
    report = check(Subject.of_recipe(toy_recipe()), most=0, watcher=Quiet())
    assert len(report.faults) == 1
    assert report.faults[0].startswith("head topics: ")
    assert report.faults[0].endswith(" calibration rows, needs 10; label more")


def test_a_given_test_file_that_is_not_there_is_wrong_input(toy_recipe: Toy) -> None:
    data = {**toy_recipe().data.model_dump(), "test": "gone.jsonl"}
    with pytest.raises(InputError, match=r"gone\.jsonl: no such data file"):
        check(Subject.of_recipe(toy_recipe(data=data)), most=0, watcher=Quiet())


def test_what_a_person_should_look_at_is_a_remark(write: Write, toy_base: Path) -> None:
    draw = random.Random(0)
    names = "profit bank strike storm ferry verdict recall copper wheat bonds harbour ledger quota merger".split()
    rows = [
        {"text": " ".join(draw.choices(names, k=12)), "label": "rare" if number < 9 else "usual"}
        for number in range(200)
    ]
    rows.append({"text": "profit " * 200, "label": "usual"})
    report = of_file(write("rows.jsonl", lines(rows)), toy_base)
    assert not report.faults
    assert {"head label: fewer than 10 rows are rare", "1 rows have more tokens than tuning.max_length, 128: their "
            "ends go unread"} <= set(report.remarks)  # fmt: skip
    assert any("class_weights" in remark for remark in report.remarks)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"text": "body"}, "no column 'body'; give --text one of: text, label"),
        ({"labels": ["mood"]}, "no column 'mood'; give --label one of"),
        ({"group": "thread"}, "no column 'thread'; give --group one of"),
        ({"labels": ["text"]}, "column 'text' holds 40 different values in 40 rows: no labels"),
    ],
)
def test_a_column_that_is_not_there_is_told(write: Write, toy_base: Path, columns: dict[str, Any], told: str) -> None:
    file = write("rows.jsonl", lines([{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(40)]))
    with pytest.raises(InputError, match=told):
        of_file(file, toy_base, **columns)
    with pytest.raises(DataError, match="the file is empty"):
        of_file(write("empty.jsonl", ""), toy_base)


def test_one_label_alone_cannot_be_learnt(write: Write, toy_base: Path) -> None:
    report = of_file(write("rows.jsonl", lines([{"text": f"text {n}", "label": "a"} for n in range(40)])), toy_base)
    assert report.faults == ["column 'label' holds one label only, 'a': there is nothing to tell apart"]


def test_planted_wrong_labels_are_suspected_first(write: Write, toy_base: Path, exported: None) -> None:
    """Texts of two vocabularies, 6 of 120 labelled as the other: even a random encoder tells the two apart."""
    draw = random.Random(1)
    vocabularies = {"money": "profit sales bank bonds shares quarter", "sea": "ferry storm harbour island ship port"}
    rows = []
    for number in range(120):
        label = ("money", "sea")[number % 2]
        text = " ".join(draw.choices(vocabularies[label].split(), k=9)) + f" {number}"
        wrong = number % 20 == 7
        rows.append({"text": text, "label": {"money": "sea", "sea": "money"}[label] if wrong else label})
    report = of_file(write("rows.jsonl", lines(rows)), toy_base, most=6)
    found = {int(one.origin.rsplit(":")[-1]) - 1 for one in report.suspects}
    assert found <= {7, 27, 47, 67, 87, 107}
    assert found  # how many a random encoder tells apart is chance
    assert all(one.given != one.suggested and one.confidence > 0.5 for one in report.suspects)
    assert report.suspicions[0].judged == 120


def test_wrong_labels_among_clear_vectors_are_suspect_and_no_others() -> None:
    draw = np.random.default_rng(0)
    truth = np.arange(300) % 3
    vectors = (draw.normal(size=(300, 8)) * 0.3 + np.eye(8)[truth]).astype(np.float32)
    labels = truth.copy()
    planted = draw.choice(300, 15, replace=False)
    labels[planted] = (truth[planted] + 1) % 3
    found = suspects.find(vectors, labels.tolist(), list(range(300)))
    assert {one.row for one in found.suspects} <= set(planted.tolist())
    assert len(found.suspects) >= 10  # it wants the sureness of the average row, which not every row has
    assert all(one.suggested == truth[one.row] and one.given == labels[one.row] for one in found.suspects)
    assert found.error_share == pytest.approx(0.05, abs=0.02)
    assert found.agreement == pytest.approx(0.95, abs=0.02)


def test_labels_of_a_multi_label_head_are_judged_one_by_one(toy_recipe: Toy, exported: None) -> None:
    report = check(Subject.of_recipe(toy_recipe()), most=3, watcher=Quiet())
    assert len([one for one in report.suspects if one.head == "topics"]) <= 3
    assert {one.head.split(":")[0] for one in report.suspicions} == {"sentiment", "topics"}
    for one in report.suspects:
        assert one.head == "sentiment" or {one.given, one.suggested} == {
            one.given.removeprefix("not "),
            f"not {one.given.removeprefix('not ')}",
        }


def test_a_row_counts_for_the_label_whose_threshold_it_reaches() -> None:
    """The worked case of the method: label 0 is given with less certainty, so its threshold is lower."""
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.6, 0.4], [0.1, 0.9], [0.45, 0.55], [0.8, 0.2]])
    given = np.array([0, 0, 0, 1, 1, 1])
    found, share = suspects.judge(probabilities, given)
    assert [(one.row, one.given, one.suggested) for one in found] == [(5, 1, 0)]
    assert found[0].doubt == pytest.approx(0.6)
    assert share == pytest.approx(1 / 6)


@given(st.integers(2, 4), st.integers(0, 999))
def test_sure_and_right_rows_are_never_suspect(labels: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    given_labels = np.arange(40) % labels
    probabilities = draw.dirichlet(np.ones(labels), 40) * 0.4
    probabilities[np.arange(40), given_labels] += 0.6
    assert suspects.judge(probabilities, given_labels)[0] == []


def test_a_label_with_too_few_rows_is_not_judged() -> None:
    vectors = np.random.default_rng(0).normal(size=(43, 4)).astype(np.float32)
    labels = [0] * 20 + [1] * 20 + [2] * 3
    assert suspects.find(vectors, labels, list(range(43))).judged == 40
    assert suspects.find(vectors, labels, [0] * 20 + [1] * 23).judged == 0  # one story is no fold
