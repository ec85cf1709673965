"""Cleaning takes out what systems put in, keeps what people wrote, and does so once and for all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.clean import clean_file, clean_text
from engine.data.rows import BadRow
from engine.errors import DataError, InputError

Write = Callable[[str, str | bytes], Path]

PIECES = st.sampled_from(
    "<b>|</p>|<br/>|<!--|-->|&amp;|&lt;|gt;|&#60;|&nbsp;|<script>|</script>|a@b.org|e\u0301|\u200b|\x93|\x07| |\n"
    "|\u3000|利润|，|b|+44 20 7946 0018|4111|<|>".split("|")
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40), st.booleans(), st.booleans())
def test_cleaning_twice_is_cleaning_once(text: str, html: bool, mask_pii: bool) -> None:
    once, _, _ = clean_text(text, html=html, mask_pii=mask_pii)
    again, operations, masked = clean_text(once, html=html, mask_pii=mask_pii)
    assert again == once
    assert not masked
    assert set(operations) <= {"replacement"}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("<p>Profit <b>fell</b> 12%</p><p>Weak&nbsp;demand</p>", "Profit fell 12%\n\nWeak demand"),
        ("one<br>two<script>alert('x')</script><!-- note --> three", "one\ntwo three"),
        ("<tr><td>Net sales</td><td>61</td></tr>", "Net sales 61"),
        ("AT&amp;amp;T, S&P and R&D", "AT&T, S&P and R&D"),
        ("costs<budget, a < b > c, <3, <john@x>, <Name>", "costs<budget, a < b > c, <3, <john@x>, <Name>"),
        ("shop.example/?a=1&copy=2&reg=3", "shop.example/?a=1&copy=2&reg=3"),
        ("caf\u0065\u0301", "café"),
        ("利润下降，％（１２）　《财报》", "利润下降，％（１２） 《财报》"),
        ("\ufeffzero\u200bwidth soft\u00adhyphen", "zerowidth softhyphen"),
        ("it\x92s \x93quoted\x94\x07", "it’s “quoted”"),
        ("  two  \t spaces \r\n\r\n\r\n\r\n next\u00a0line ", "two spaces\n\nnext line"),
        ("می‌خواهم 👩‍👧", "می‌خواهم 👩‍👧"),
    ],
)
def test_a_text_is_cleaned(text: str, clean: str) -> None:
    assert clean_text(text)[0] == clean


def test_operations_are_counted() -> None:
    _, operations, masked = clean_text("<b>A</b>\x07\u200b &amp; e\u0301  x@y.org, z@y.org", mask_pii=True)
    assert operations == {"html": 2, "control": 1, "invisible": 1, "entity": 1, "unicode": 1, "whitespace": 1}
    assert masked == {"email": 2}
    assert clean_text("e\u0301")[1] == {"unicode": 1}


def test_html_is_kept_when_it_is_what_the_text_is_about() -> None:
    assert clean_text("use  <b> &amp; <i>", html=False)[0] == "use <b> &amp; <i>"


@pytest.mark.parametrize("piece", ["<!--", "<script>", "<b ", "&", "<", "&amp;", "]]>"])
def test_hostile_texts_take_no_longer_than_others(piece: str) -> None:
    start = time.process_time()
    clean_text(piece * (400_000 // len(piece)))
    assert time.process_time() - start < 5


@pytest.mark.parametrize("text", ["&" + "amp;" * 100_000, "<" * 10_000 + "b>" * 10_000])
def test_what_nests_without_end_is_no_text(text: str) -> None:
    with pytest.raises(BadRow, match="nested over 50 deep"):
        clean_text(text)


def test_a_file_is_cleaned_and_its_bad_rows_are_set_aside(write: Write, tmp_path: Path) -> None:
    rows = [
        {"title": "<b>One</b>", "body": "mail x@y.org", "topics": ["a"], "id": "<b>1</b>"},
        {"title": "利润，下降", "id": 2},
        {"title": "lost \ufffd char", "id": 3},
        {"title": "<br>", "id": 4},
        {"title": 5},
    ]
    file = write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    done = clean_file(str(file), tmp_path / "out.jsonl", ["title", "body"], mask_pii=True)
    kept = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert kept == [
        {"title": "One", "body": "mail [EMAIL]", "topics": ["a"], "id": "<b>1</b>"},
        {"title": "利润，下降", "id": 2},
    ]
    assert (done.rows, done.changed, done.pii) == (2, 1, {"email": 1})
    assert done.operations["replacement"] == 1
    bad = [json.loads(line) for line in (tmp_path / "out.rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["line"], row["reason"].split(":")[0]) for row in bad] == [
        (3, "field 'title' holds the replacement character U+FFFD"),
        (4, "field 'title' is empty"),
        (5, "field 'title' is int, not a text"),
        (6, "not JSON"),
    ]


def test_a_csv_file_becomes_json_lines_and_stale_rejections_go(write: Write, tmp_path: Path) -> None:
    stale = write("out.rejected.jsonl", "{}\n")
    clean_file(str(write("a.csv", "text,label\n<i>one</i>,x\n")), tmp_path / "out.jsonl", ["text"])
    assert (tmp_path / "out.jsonl").read_text() == '{"text": "one", "label": "x"}\n'
    assert not stale.exists()


def test_a_run_that_fails_leaves_no_file(write: Write, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(DataError, match="no row has 'title'; name columns with --text: text"):
        clean_file(str(write("a.jsonl", '{"text": "a"}\n')), out, ["title"])
    with pytest.raises(DataError, match="no row is left; first: line 1: field 'text' is empty"):
        clean_file(str(write("a.jsonl", '{"text": "<b>"}\n')), out, ["text"])
    file = write("a.jsonl", '{"text": "a"}\n')
    with pytest.raises(InputError, match="is the file to clean"):
        clean_file(str(file), file, ["text"])
    with pytest.raises(InputError, match="cannot be written"):
        clean_file(str(file), tmp_path / "gone" / "out.jsonl", ["text"])
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []
