"""`engine data ...` as a person runs it: from a raw file to more rows to train on, with clear errors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.system.test_commands import run

pytestmark = pytest.mark.system


@pytest.fixture
def raw(tmp_path: Path, headlines: list[dict[str, Any]]) -> Path:
    rows = [{"title": f"<p>{item['title']}</p>", "label": item["sentiment"]} for item in headlines[:150]]
    rows.append({"title": "Write to jane@example.org [sic]", "label": "neutral"})
    file = tmp_path / "raw.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows) + "{broken\n", encoding="utf-8")
    return file


def test_a_raw_file_is_cleaned_checked_split_and_augmented(raw: Path, tmp_path: Path, toy_base: Path) -> None:
    def engine(*words: str | Path) -> Any:
        done = run("engine", "data", *words, "--json", home=tmp_path / "home", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    cleaned = engine("clean", raw, "-o", "clean.jsonl", "--text", "title", "--mask-pii")
    assert (cleaned["rows"], cleaned["operations"]["html"], cleaned["pii"]) == (151, 300, {"email": 1})
    assert len(cleaned["rejected"]) == 1
    checked = engine("check", "clean.jsonl", "--text", "title", "--base", toy_base, "--suspects", "0")
    assert (checked["ok"], checked["rows"]) == (True, 151)
    cut = engine("split", "clean.jsonl", "-o", "parts", "--text", "title")
    assert sum(cut["rows"].values()) == 151
    (tmp_path / "recipe.yaml").write_text(
        f"name: mood\nbase: {toy_base}\n"
        "task: {kind: classify, heads: {label: {labels: [negative, neutral, positive]}}}\n"
        "data: {train: clean.jsonl, columns: {text: title}}\n",
        encoding="utf-8",
    )
    added = engine("augment", "recipe.yaml", "-o", "more.jsonl", "--method", "typos", "--share", "0.2")
    assert added["added"] == len((tmp_path / "more.jsonl").read_text(encoding="utf-8").splitlines()) > 10
    assert json.loads((tmp_path / "more.report.json").read_text(encoding="utf-8"))["added"] == added["added"]


def test_people_get_tables_that_show_brackets_as_they_are(raw: Path, tmp_path: Path, toy_base: Path) -> None:
    twice = (
        '{"title": "[b] Write to jane [sic]", "label": "neutral"}\n{"title": "[b] write to jane [sic]", "label": "x"}\n'
    )
    (tmp_path / "few.jsonl").write_text(twice, encoding="utf-8")
    done = run("engine", "data", "check", "few.jsonl", "--text", "title", "--base", toy_base, "--suspects", "0",
               home=tmp_path / "home", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 1
    assert "few.jsonl:2 repeats few.jsonl:1 (exact), other label  [b] write to jane [sic]" in done.stdout
    assert "cannot be trained on: too few rows" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "gone.jsonl"], "gone.jsonl: no such data file"),
        (["check", "raw.jsonl"], "no column 'text'; give --text one of: title, label"),
        (["check", "recipes/finance_news.yaml", "--text", "title"], "are for a data file; a recipe says so itself"),
        (["check", "raw.jsonl", "--set", "base=x"], "--set changes a recipe"),
        (["clean", "raw.jsonl", "-o", "out.csv"], "the output is JSON lines; name it out.jsonl"),
        (["split", "raw.jsonl", "-o", "parts", "--test", "0.9", "--dev", "0.2"], "the shares do not make a split"),
        (["augment", "recipes/finance_news.yaml", "-o", "out.jsonl", "--method", "magic"], "--method magic: choose"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(raw: Path, tmp_path: Path, words: list[str], told: str) -> None:
    done = run("engine", "data", *words, home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 2
    assert re.sub(r"\s+", " ", done.stderr).startswith("error: ")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
