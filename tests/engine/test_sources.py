"""Rows come from files; what cannot be used is set aside with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.data import sources
from engine.errors import DataError, InputError
from engine.recipe import Data
from engine.tasks.heads import HeadSpec

HEADS = (
    HeadSpec("sentiment", "single", ("negative", "positive")),
    HeadSpec("topics", "multi", ("earnings", "credit")),
)
Write = Callable[[str, str | bytes], Path]


def load(path: Path, **data: object) -> sources.Loaded:
    return sources.load([str(path)], Data.model_validate({"train": [str(path)], **data}), HEADS)


def test_csv_jsonl_and_parquet_give_the_same_rows(write: Write, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    csv = load(
        write("a.csv", 'text,sentiment,topics\n"Profit, again",positive,"earnings,credit"\n利润下降,negative,\n')
    )
    rows = [
        {"text": "Profit, again", "sentiment": "positive", "topics": ["earnings", "credit"]},
        {"text": "利润下降", "sentiment": "negative", "topics": None},
    ]
    jsonl = load(write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    parquet = load(tmp_path / "a.parquet")
    wanted = [("Profit, again", "positive", ("earnings", "credit")), ("利润下降", "negative", None)]
    for loaded in (csv, jsonl, parquet):
        assert [(row.text, row.labels["sentiment"], row.labels["topics"]) for row in loaded.rows] == wanted
        assert not loaded.rejected


def test_a_row_may_lack_a_heads_label_but_not_all(write: Write) -> None:
    loaded = load(write("a.jsonl", '{"text": "a b", "topics": []}\n{"text": "c d"}\n'))
    assert loaded.rows[0].labels == {"sentiment": None, "topics": ()}
    assert "no label for any head" in loaded.rejected[0].reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a", "sentiment": "negatve"}', "unknown label 'negatve'; did you mean 'negative'"),
        (b'{"text": "", "sentiment": "negative"}', "field 'text' is empty"),
        (b'{"text": 3, "sentiment": "negative"}', "field 'text' is int, not a text"),
        (b'{"title": "a", "sentiment": "negative"}', "no field 'text'"),
        (b'{"text": "a\\u0000b", "sentiment": "negative"}', "control character"),
        (b'{"text": "a\x00b", "sentiment": "negative"}', "not JSON"),
        (b'{"text": "caf\xe9", "sentiment": "negative"}', "not UTF-8 at byte 14"),
        (b'{"text": "\\ud83d", "sentiment": "negative"}', "surrogate"),
        (b'{"text": "a", "sentiment": "nega', "the line seems cut off"),
        (b"[1, 2]", "a list where an object"),
        (b'{"text": "a", "topics": 7}', "takes a list of labels"),
        (b'{"text": "' + b"x" * 5_000_000 + b'", "sentiment": "negative"}', "5,000,000 characters"),
    ],
)
def test_a_bad_line_is_set_aside_with_file_line_and_reason(write: Write, line: bytes, reason: str) -> None:
    good = b'{"text": "fine", "sentiment": "negative"}\n'
    loaded = load(write("a.jsonl", good + line + b"\n" + good))
    assert [row.text for row in loaded.rows] == ["fine", "fine"]
    bad = loaded.rejected[0]
    assert bad.line == 2
    assert bad.file.endswith("a.jsonl")
    assert reason in bad.reason


def test_bad_csv_lines_are_set_aside(write: Write) -> None:
    loaded = load(write("a.csv", b"text,sentiment\none,two,three\nfine,negative\ncaf\xe9,negative\n"))
    assert [row.text for row in loaded.rows] == ["fine"]
    assert [(bad.line, bad.reason.split(";")[0]) for bad in loaded.rejected] == [
        (2, "3 cells where the header has 2"),
        (4, "not UTF-8 at byte 4 of the line"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("rows.xlsx", b"PK", "unknown kind of file '.xlsx'"),
        ("wide.jsonl", '{"text": "a"}'.encode("utf-16"), "UTF-16"),
        ("blank.jsonl", b"\n\n", "it holds no rows"),
        ("no.parquet", b"PAR1", "not a Parquet file"),
        ("mac.csv", b"text,sentiment\rprofit,negative\rmore,positive\r", "no readable header"),
        ("open.csv", b'text,"sentiment\nprofit,negative\n', "no readable header"),
        ("twice.csv", b"text,sentiment,sentiment\nprofit,negative,positive\n", "columns stand twice: 'sentiment'"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(write: Write, name: str, content: bytes, told: str) -> None:
    with pytest.raises(DataError, match=told):
        load(write(name, content))


def test_a_stray_quote_costs_every_line_that_it_swallows(write: Write) -> None:
    lines = [f"profit {number},positive,earnings" for number in range(20)]
    lines[4] = 'profit "4",positive,earnings'
    lines[10] = '"profit 10,positive,earnings'
    loaded = load(write("a.csv", "text,sentiment,topics\n" + "\n".join(lines) + "\n"))
    assert len(loaded.rows) + len(loaded.rejected) == 20
    assert [bad.line for bad in loaded.rejected] == list(range(12, 22))
    assert (loaded.rejected[0].row, loaded.rejected[1].row) == (lines[10], lines[11])
    assert "a quote of line 12 may run on to here" in loaded.rejected[1].reason


def test_a_dead_letter_holds_the_whole_row(write: Write) -> None:
    long = json.dumps({"text": "profit " * 500, "sentiment": "up"})
    loaded = load(write("a.jsonl", long + '\n{"text": "cut off\n'))
    assert [bad.row for bad in loaded.rejected] == [long, '{"text": "cut off']
    cells = load(write("b.csv", "text,sentiment\nprofit,negative\nprofit,up,down,more\n"))
    assert cells.rejected[0].row == "profit,up,down,more"


def test_a_missing_file_is_an_error() -> None:
    with pytest.raises(InputError, match="no such data file"):
        load(Path("gone.csv"))


def test_where_keeps_rows_with_the_value(write: Write) -> None:
    path = write("a.csv", "text,sentiment,lang\none,negative,en\n二,negative,zh\n")
    assert [row.text for row in load(path, where={"lang": ["zh"]}).rows] == ["二"]
    with pytest.raises(DataError, match="none of its 2 rows has"):
        load(path, where={"lang": ["fr"]})


def test_too_many_bad_rows_stop_the_run(write: Write, tmp_path: Path) -> None:
    good = '{"text": "fine", "sentiment": "negative"}\n'
    loaded = load(write("a.jsonl", good * 18 + "x\n" * 2))
    sources.check_rejected(loaded, 0.1, tmp_path / "rejected.jsonl")
    with pytest.raises(DataError, match=r"2 of 20 rows are bad.*line 19: not JSON"):
        sources.check_rejected(loaded, 0.05, tmp_path / "rejected.jsonl")
    sources.write_rejected(loaded.rejected, tmp_path / "rejected.jsonl")
    assert len((tmp_path / "rejected.jsonl").read_text().splitlines()) == 2
