"""Labelling: what is chosen to label, on the terminal, and as a file that goes out and comes back."""

from __future__ import annotations

import builtins
import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from engine import Recipe, train
from engine.cli import app
from engine.data.sources import records
from engine.errors import InputError
from engine.feedback import Candidate, Feedback, FeedbackLog, Labelling, choose, opened
from engine.feedback.choice import divergence, uncertainty
from engine.feedback.table import _plain, write_csv

SENTIMENTS = ("negative", "neutral", "positive")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, toy_base: Path, headlines: list[dict[str, Any]]) -> Path:
    """A home with a two-headed toy model, named toy."""
    home = tmp_path_factory.mktemp("labelling")
    rows = [one for one in headlines if one["lang"] == "en"][::35]
    (home / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    topics = sorted({topic for one in rows for topic in one["topics"]})
    heads = {"sentiment": {"labels": SENTIMENTS}, "topics": {"labels": topics, "multi_label": True}}
    recipe = {
        "name": "toy", "base": str(toy_base), "task": {"kind": "classify", "heads": heads},
        "data": {"train": str(home / "rows.jsonl"), "columns": {"text": "title"}, "split": {"group": "story"}},
        "tuning": {"epochs": 1, "batch_tokens": 512, "max_length": 32}, "export": {"format": "none"}, "track": [],
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(home))
        train(Recipe.parse(recipe))
    return home


@pytest.fixture
def log(trained: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedbackLog]:
    """Four texts with feedback, one of them without consent."""
    monkeypatch.setenv("KEEL_HOME", str(trained))
    monkeypatch.setenv("KEEL_DATABASE", database_url)
    found = opened()
    texts = ("Profit fell at the bank", "利润上升，银行盈利", "=cmd|' /C calc'!A0", "Nobody agreed to this")
    with found.database.write() as connection:
        for number, text in enumerate(texts):
            found.add(connection, told(text, number, consent=number != 3))
    yield found
    found.database.close()


def told(text: str, number: int, **given: Any) -> Feedback:
    usual: dict[str, Any] = {
        "tenant": "acme", "model": "toy@1", "subject": f"s{number}", "verdict": 0.0, "kind": "vote", "rater": "u1",
        "said": {"sentiment": {"label": "neutral", "probability": 0.5}}, "app": "finance_monitor", "consent": True,
        "time": f"2026-03-0{number + 1}T10:00:00Z",
    }  # fmt: skip
    return Feedback(text=text, **{**usual, **given})


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["feedback", *words], catch_exceptions=True)
    if code == 2:
        assert isinstance(done.exception, InputError), done.output
        return str(done.exception)
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


def test_doubtful_texts_come_first_and_far_from_each_other() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(4, 16, dtype=np.float32)
    vectors = np.concatenate([centres[at] + 0.01 * rng.normal(size=(25, 16)) for at in range(4)]).astype(np.float32)
    doubts = [Candidate(0.9 if number % 25 < 5 else 0.1, 0.0) for number in range(100)]
    chosen = choose(doubts, vectors, 4)
    assert sorted(at // 25 for at in chosen) == [0, 1, 2, 3], "one of each cluster"
    assert all(doubts[at].uncertainty == 0.9 for at in chosen)
    assert chosen == choose(doubts, vectors, 4)
    assert chosen != choose(doubts, vectors, 4, seed=14)
    disputed = [*doubts[:7], Candidate(0.0, 1.0), *doubts[8:]]
    assert choose(disputed, vectors, 1, by="disagreement") == choose(disputed, vectors, 1) == [7]
    assert doubts[choose(disputed, vectors, 1, by="uncertainty")[0]].uncertainty == 0.9
    assert sorted(choose(doubts[:3], vectors[:3], 9, by="diversity")) == [0, 1, 2]
    with pytest.raises(InputError, match="1 or more"):
        choose(doubts, vectors, 0)


def test_doubt_is_told_between_sure_and_even() -> None:
    one, even = {"a": {"x": 1.0, "y": 0.0}}, {"a": {"x": 0.5, "y": 0.5}}
    assert (uncertainty(one, {}), uncertainty(even, {})) == (0.0, 1.0)
    assert uncertainty({"a": {"x": 0.9, "y": 0.6}}, {"a": True}) == pytest.approx(0.8)
    assert divergence(one, one) == 0.0
    assert divergence(one, {"a": {"x": 0.0, "y": 1.0}}) == pytest.approx(1.0)
    assert 0 < divergence(one, even) < 1


def test_labels_of_the_terminal_are_stored_though_it_is_interrupted(
    log: FeedbackLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter(["pos", "2, cyber", "1", "nonsense", "n", "s", KeyboardInterrupt()])

    def typed(_: object = "") -> object:
        word = next(said)
        if isinstance(word, BaseException):
            raise word
        return word

    monkeypatch.setattr(builtins, "input", typed)
    assert "2 labelled" in run("label", "toy", "--rater", "ana")
    first, second = log.read(kind="label")
    assert first.correction is not None
    assert first.correction["sentiment"] == "positive"
    assert first.correction["topics"][1:] == ["cyber"]
    assert list(second.correction or {}) == ["sentiment"], "topics were skipped"
    assert (first.rater, first.consent, first.model, first.tenant) == ("ana", True, "toy@1", "acme")
    left = Labelling(log, "toy", rater="ana").tasks(9)
    assert [one.feedback.subject for one in left] == [
        {"s0", "s1", "s2"}.difference([first.subject, second.subject]).pop()
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_labels_go_out_and_come_back_once(log: FeedbackLog, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"to_label.{kind}"
    assert json.loads(run("export", "--model", "toy", "--to-label", "9", "-o", str(file), "--json"))["rows"] == 3
    assert (file.read_bytes()[:3] == b"\xef\xbb\xbf") == (kind == "csv")
    rows = [values for _, values in records(file, file.name) if isinstance(values, dict)]
    by_subject = {row["subject"]: row for row in rows}
    assert by_subject["s1"]["text"] == "利润上升，银行盈利"
    assert by_subject["s2"]["text"] == ("'" if kind == "csv" else "") + "=cmd|' /C calc'!A0"
    assert set(by_subject["s0"]) >= {"sentiment", "sentiment_said", "sentiment_probability", "topics", "topics_said"}
    by_subject["s1"] |= {"sentiment": "positive", "topics": ["earnings"] if kind == "jsonl" else "earnings"}
    by_subject["s2"]["sentiment"] = "postive"
    rows.append({**dict.fromkeys(rows[0]), "id": "gone", "sentiment": "neutral"})
    rows.append({**dict.fromkeys(rows[0]), "text": "A text of our own", "sentiment": "neutral"})
    rows.append({**dict.fromkeys(rows[0]), "text": "A second one", "sentiment": "neutral"})
    rows.append({**dict.fromkeys(rows[0]), "text": "A\x07bell", "sentiment": "neutral"})
    back = tmp_path / f"back.{kind}"
    with back.open("w", encoding="utf-8", newline="") as stream:
        if kind == "csv":
            lines = csv.DictWriter(stream, list(rows[0]))
            lines.writeheader()
            lines.writerows(rows)
        else:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
    words = ("import", str(back), "--model", "toy", "--rater", "ana", "--json")
    first = json.loads(run(*words))
    assert {key: first[key] for key in ("new", "known", "empty", "rejected")} == {
        "new": 3, "known": 0, "empty": 1, "rejected": 3,
    }  # fmt: skip
    reasons = [json.loads(line)["reason"] for line in Path(first["dead_letters"]).read_text().splitlines()]
    assert ["did you mean 'positive'" in reasons[0], "'gone'" in reasons[1], "control" in reasons[2]] == [True] * 3
    stored = log.read(kind="label")
    assert json.loads(run(*words))["known"] == 3
    assert log.read(kind="label") == stored, "taken twice, nothing changes"
    mine, own, other = sorted(stored, key=lambda one: one.text, reverse=True)
    assert (mine.subject, mine.correction) == ("s1", {"sentiment": "positive", "topics": ["earnings"]})
    assert (own.text, own.correction, own.tenant) == ("A text of our own", {"sentiment": "neutral"}, "default")
    assert own.subject != other.subject, "of one subject they would all teach, or all judge"


def test_everything_is_listed_written_and_forgotten(log: FeedbackLog, write: Callable[..., Path]) -> None:
    listed = json.loads(run("list", "--model", "toy", "--json"))
    assert listed["counts"] == [{"app": "finance_monitor", "model": "toy@1", "kind": "vote", "count": 4}]
    assert listed["newest"][0]["text"] == "Nobody agreed to this"
    assert "4 in all" in run("list")
    assert "nothing" in run("list", "--kind", "click")
    assert "4 rows" in run("export", "-o", "all.csv")
    assert "1 erased" in run("forget", "s1", "--tenant", "acme")
    assert "0 erased" in run("forget", "s1", "--tenant", "other")
    assert log.count() == 3
    assert "--model" in run("export", "--to-label", "3", "-o", "x.csv", code=2)
    for option in (("--app", "console"), ("--kind", "vote"), ("--since", "2026-01-01T00:00:00Z"), ("--until", "2026")):
        told = run("export", "--model", "toy", "--to-label", "3", *option, "-o", "x.csv", code=2)
        assert "leave out --app, --kind, --since and --until" in told
    for option in (("--by", "diversity"), ("--challenger", "toy@1"), ("--of", "toy")):
        assert "--to-label N" in run("export", *option, "-o", "x.csv", code=2)
    assert not Path("x.csv").exists()
    assert ".csv or .jsonl" in run("export", "-o", "x.xlsx", code=2)
    assert "no such file" in run("import", "none.csv", "--model", "toy", "--rater", "ana", code=2)
    odd = str(write("x.csv", "text,colour\nhi,blue\n"))
    assert "name one of sentiment, topics" in run("import", odd, "--model", "toy", "--rater", "a")
    assert "toy" in run("label", "nothing", "--rater", "ana", code=2)


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00\r"), min_size=1))
def test_no_cell_is_a_formula_and_every_text_comes_back(text: str) -> None:
    stream = io.StringIO()
    write_csv([told(text, 1)], stream)
    cell = next(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))["text"]
    assert cell[0] not in "=+-@\t"
    assert _plain(cell, True) == text
