"""Report: the card tells what the test rows showed, and stands alone and harmless."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from engine import Recipe, Store, card, cli, train
from engine.card import charts
from engine.data.rows import Row
from engine.errors import InputError
from engine.evaluate import details
from engine.evaluate.calibration import ece
from engine.evaluate.details import Bin, Details, Label
from engine.evaluate.report import measure
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Output

Toy = Callable[..., Recipe]
EVIL = "<script>alert(1)</script>"
HEAD = HeadSpec("mood", "single", ("bad", EVIL, "好"))


def rows(count: int = 60) -> list[Row]:
    """Texts of 1 to `count` letters, in two languages, with the labels in turn."""
    return [
        Row("x" * (n + 1), {"mood": HEAD.labels[n % 3]}, None, f"f:{n}", language="zh" if n % 2 else "en")
        for n in range(count)
    ]


def said(answers: list[int], sure: float = 2.0) -> list[Output]:
    return [Output(np.eye(3)[answer] * sure) for answer in answers]


def of(answers: list[int]) -> Details:
    return measure([HEAD], rows(len(answers)), [{"mood": said(answers)}], [{"mood": 1.0}]).details["mood"]


@given(st.lists(st.integers(0, 2), min_size=12, max_size=40))
@settings(max_examples=10, deadline=None)
def test_confusions_and_labels_count_every_row_once(answers: list[int]) -> None:
    found = of(answers)
    truth = [n % 3 for n in range(len(answers))]
    assert found.confusion == [
        [sum(t == true and a == answer for t, a in zip(truth, answers, strict=True)) for answer in range(3)]
        for true in range(3)
    ]
    assert [label.rows for label in found.labels] == [truth.count(label) for label in range(3)]
    assert [label.given for label in found.labels] == [answers.count(label) for label in range(3)]
    assert sum(part.rows for part in found.bins) == len(answers)


def test_the_bins_are_those_of_the_calibration_error() -> None:
    random = np.random.default_rng(0)
    answers = random.integers(0, 3, 300).tolist()
    outputs = [Output(random.normal(size=3) * 3) for _ in answers]
    found = measure([HEAD], rows(300), [{"mood": outputs}], [{"mood": 1.5}])
    gaps = sum(part.rows * abs(part.accuracy - part.confidence) for part in found.details["mood"].bins) / 300
    assert gaps == pytest.approx(found.heads["mood"]["ece"].value)
    assert ece(np.array([0.99]), np.array([True])) == pytest.approx(0.01)


def test_slices_by_length_and_language_hold_all_rows_and_show_where_it_fails() -> None:
    """Right on English alone."""
    answers = [(n + n % 2) % 3 for n in range(60)]
    found = of(answers)
    lengths = [part for part in found.slices if part.by == "length"]
    assert [part.name for part in lengths] == [
        "1 to 16 characters", "17 to 31 characters", "32 to 46 characters", "47 to 60 characters",
    ]  # fmt: skip
    assert sum(part.rows for part in lengths) == 60
    languages = {part.name: part for part in found.slices if part.by == "language"}
    assert (languages["en"].value, languages["en"].low, languages["zh"].value) == (1, 1, 0)


def test_multi_label_heads_and_entities_are_counted_by_label() -> None:
    head = HeadSpec("topics", "multi", ("a", "b"))
    texts = [Row("x", {"topics": ("a",)}, None, "f:1"), Row("y", {"topics": ("a", "b")}, None, "f:2")]
    outputs = [Output(np.array([3.0, 3.0])), Output(np.array([-3.0, 3.0]))]
    found = measure([head], texts, [{"topics": outputs}] * 2, [{"topics": 1.0}] * 2).details["topics"]
    assert found.labels == [Label("a", 4, 2, 2), Label("b", 2, 4, 2)]  # over two seeds
    assert sum(part.rows for part in found.bins) == 8
    entities = HeadSpec("entities", "tags", ("ORG",))
    words = [Row("Acme rose", {"entities": ((0, 4, "ORG"),)}, None, "f:1")]
    logits = np.array([[0.0, 5, 0], [5, 0, 0]])
    one = Output(logits, np.array([[0, 4], [5, 9]]), np.array([0, 0]))
    counted = measure([entities], words, [{"entities": [one]}], [{"entities": 1.0}]).details["entities"]
    assert counted.labels == [Label("ORG", 1, 1, 1)]


def test_details_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    found = {"mood": of([0, 1, 2, 2] * 8)}
    details.write(found, tmp_path)
    assert details.read(tmp_path) == found
    assert details.read(tmp_path / "none") == {}


class Read(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "action")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def named(toy_recipe: Toy, tmp_path: Path) -> Recipe:
    """A recipe with labels that a page must not take for its own."""
    file = tmp_path / "rows.jsonl"
    names = {"negative": EVIL, "neutral": "a | b & <b>", "positive": "好"}
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for number, line in enumerate(lines):
        line |= {"sentiment": names[line["sentiment"]], "lang": "zh" if number % 3 else "en"}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return toy_recipe(
        task={"kind": "classify", "heads": {"sentiment": {"labels": list(names.values())}}},
        tuning={"epochs": 2, "batch_tokens": 512, "max_length": 48},
    )


def test_a_version_keeps_its_card_and_the_report_is_one_harmless_file(named: Recipe, tmp_path: Path) -> None:
    done = train(named)
    kept = (done.version.folder / card.FILE).read_text(encoding="utf-8")
    assert done.version.manifest()["files"][card.FILE]
    assert "<script" not in kept.replace("\\<script", "")
    assert Store().verify(done.version) == []
    assert done.version.manifest()["seconds"] > 0
    assert done.version.manifest()["peak_memory_mb"] > 50
    assert not re.search(r"Profit|shares", (done.version.folder / details.FILE).read_text())  # counts, no texts

    told = CliRunner().invoke(cli.app, ["report", "toy", "--speed", "--json"])
    assert json.loads(told.stdout) == {"version": "toy@1", "card": "card.html"}
    text = (tmp_path / "card.html").read_text(encoding="utf-8")
    page = Read()
    page.feed(text)
    assert "script" not in page.tags
    assert page.tags.count("svg") >= 4  # confusions, calibration, slices, curves
    assert page.addresses == []
    assert "url(" not in text
    assert EVIL in page.text  # shown as text
    figure = done.figures.heads["sentiment"]["macro_f1"]
    for shown in (
        f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}", "toy@1",
        done.version.manifest()["recipe_sha256"], "language", "zh", "texts a second", "Limits",
    ):  # fmt: skip
        assert shown in page.text, shown


def test_an_older_version_without_details_has_a_card_all_the_same() -> None:
    manifest: dict[str, Any] = {"name": "old", "task": "classify", "metrics": {"heads": {}}, "history": []}
    assert "# old" in card.markdown(card.of(manifest, None, {}))
    assert "<h1>old</h1>" in card.html(card.of(manifest, None, {}))


def test_limits_name_the_weakest_label_and_those_with_few_rows() -> None:
    found = Details("macro_f1", 1, [Label("good", 100, 100, 95), Label("rare", 8, 5, 2)], [[95, 5], [3, 5]])
    told = card.markdown(card.of({"name": "m", "task": "classify", "seeds": [1]}, None, {"mood": found}))
    assert "mood: weakest on rare, F1 0.308 over 8 test rows" in told
    assert "fewer than 30 test rows have rare;" in told
    assert "trained with one seed" in told


def test_many_labels_are_told_by_their_most_frequent_confusions() -> None:
    names = [f"label {n}" for n in range(30)]
    counts = np.eye(30, dtype=int) * 50
    counts[3, 7] = 9
    found = Details("macro_f1", 1, [Label(name, 50, 50, 50) for name in names], counts.tolist())
    page = card.html(card.of({"name": "m", "task": "classify"}, None, {"intent": found}))
    assert "<svg" not in page
    assert "<td>label 3</td><td>label 7</td>" in page


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_are_few_rise_and_hold_the_values(low: float, spread: float) -> None:
    ticks = charts._ticks(low, low + spread)
    assert 2 <= len(ticks) <= 8
    assert ticks == sorted(set(ticks))
    slack = 1e-6 * max(1.0, abs(low), spread)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + spread - slack


def test_drawings_keep_inside_their_frame_and_escape_names() -> None:
    for svg in (
        charts.line([(epoch, 0.5 / epoch) for epoch in range(1, 40)]),
        charts.line([(1, 0.5), (2, 0.5)]),
        charts.reliability([Bin(3, 0.0, 1.0), Bin(1, 1.0, 0.0)]),
        charts.matrix([EVIL, "好" * 40, ""], [[3, 0, 1], [0, 0, 0], [1, 1, 1]]),
        charts.ranges([(EVIL, 0.5, 0.5, 0.5), ("b", -1.0, -2.0, 0.0)]),
    ):
        assert "<script" not in svg
        assert "nan" not in svg
        width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
        for x, y in re.findall(r'<(?:text|rect|circle)[^>]*?x="([-\d.]+)"[^>]*?y="([-\d.]+)"', svg):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height


def test_a_card_that_cannot_be_written_is_refused_first(toy_recipe: Toy) -> None:
    told = CliRunner().invoke(cli.app, ["report", "toy", "-o", "no/such/card.html"])
    assert isinstance(told.exception, InputError)
    assert "the folder no/such does not exist" in str(told.exception)
