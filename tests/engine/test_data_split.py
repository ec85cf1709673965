"""A file is cut into parts that keep its rows as they stand, its groups whole, and its labels in their shares."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.data.cutting import cut_file
from engine.errors import DataError, InputError
from engine.recipe import Split

Write = Callable[[str, str | bytes], Path]
PARTS = ("train", "dev", "calibration", "test")


@pytest.fixture
def file(write: Write, headlines: list[dict[str, Any]]) -> Path:
    rows = [{**item, "label": item["sentiment"]} for item in headlines[:400]]
    rows[3]["label"] = None
    again = [{**rows[0], "title": rows[0]["title"] + "!"}, {"title": "", "label": "neutral"}]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows + again)
    return write("rows.jsonl", text + "{broken\n")


def read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in PARTS
    }


def test_every_row_stands_in_one_part_as_it_was(file: Path, tmp_path: Path) -> None:
    report = cut_file(str(file), tmp_path / "parts", Split(group="story"), text="title")
    parts = read(tmp_path / "parts")
    given = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()[:401]]
    written = [row for rows in parts.values() for row in rows]
    assert sorted(map(json.dumps, written)) == sorted(map(json.dumps, given))
    assert report.rows == {name: len(rows) for name, rows in parts.items()}
    stories = [{row["story"] for row in rows} for rows in parts.values()]
    assert sum(map(len, stories)) == len(set.union(*stories))
    assert len(parts["test"]) == pytest.approx(60, abs=6)
    assert len(parts["dev"]) == pytest.approx(40, abs=6)


def test_every_part_gets_its_share_of_every_label(file: Path, tmp_path: Path) -> None:
    report = cut_file(str(file), tmp_path / "parts", Split(), text="title")
    assert report.label == "label"
    for part in PARTS:
        assert report.labels[part]["negative"] / report.rows[part] == pytest.approx(
            report.labels["train"]["negative"] / report.rows["train"], abs=0.05
        )


def test_bad_rows_and_the_settings_lie_beside_the_parts(file: Path, tmp_path: Path) -> None:
    report = cut_file(str(file), tmp_path / "parts", Split(seed=3), text="title")
    bad = [json.loads(line) for line in (tmp_path / "parts" / "rejected.jsonl").read_text().splitlines()]
    assert [row["line"] for row in bad] == [402, 403]
    assert json.loads((tmp_path / "parts" / "split.json").read_text()) == report.as_dict()
    assert (report.seed, report.rejected) == (3, 2)


def test_the_same_seed_cuts_alike(file: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        cut_file(str(file), tmp_path / name, Split(seed=seed), text="title")
    assert read(tmp_path / "a") == read(tmp_path / "b") != read(tmp_path / "c")


def test_a_part_without_a_share_is_not_written(file: Path, tmp_path: Path) -> None:
    cut_file(str(file), tmp_path / "parts", Split(calibration=0), text="title")
    assert not (tmp_path / "parts" / "calibration.jsonl").exists()


def test_nothing_is_overwritten_and_nothing_is_half_written(file: Path, tmp_path: Path, write: Write) -> None:
    with pytest.raises(InputError, match="holds something already"):
        cut_file(str(file), tmp_path, Split(), text="title")
    with pytest.raises(InputError, match="no column 'body_text'; give --text one of"):
        cut_file(str(file), tmp_path / "parts", Split(), text="body_text")
    with pytest.raises(InputError, match="column 'topics' holds several labels a row"):
        cut_file(str(file), tmp_path / "parts", Split(), text="title", label="topics")
    with pytest.raises(DataError, match="no row can be used; first: field 'text' is empty"):
        cut_file(str(write("empty.jsonl", '{"text": ""}\n')), tmp_path / "parts", Split())
    with pytest.raises(InputError, match="cannot be made"):
        cut_file(str(file), tmp_path / "gone" / "parts", Split(), text="title")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".parts", "parts"))]
