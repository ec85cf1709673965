"""Sentences with their places, and the terms of a lexical index."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.text.sentences import sentences
from engine.text.terms import terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A card costs 9.00 (F-14). It comes in 5 days!", ["A card costs 9.00 (F-14).", "It comes in 5 days!"]),
        ("See e.g. the list. Then call.", ["See e.g. the list.", "Then call."]),
        ("J. Smith signs. Done", ["J. Smith signs.", "Done"]),
        ("银行卡已丢失。请立即冻结！好吗？", ["银行卡已丢失。", "请立即冻结！", "好吗？"]),
        ("- Open Cards.\n- Tap Freeze\n\nIt is\nfrozen.", ["Open Cards.", "Tap Freeze", "It is\nfrozen."]),
        ("1. First step.\n2. Second step.", ["First step.", "Second step."]),
        ("| Plan | Fee |\n|---|---|\n| Plus | 4.90 |", ["| Plan | Fee |", "| Plus | 4.90 |"]),
        ('She said "no." Then left.', ['She said "no."', "Then left."]),
        (" \n ", []),
    ],
)
def test_a_text_is_cut_into_its_sentences(text: str, expected: list[str]) -> None:
    assert [span.of(text) for span in sentences(text)] == expected


@given(st.text(alphabet="ab .!?\n-1。；|#（", max_size=80))
def test_sentences_are_in_order_apart_and_hold_every_word(text: str) -> None:
    found = sentences(text)
    assert all(first.end <= second.start for first, second in itertools.pairwise(found))
    assert all(0 <= span.start < span.end <= len(text) for span in found)
    held = "".join(span.of(text) for span in found)
    assert [char for char in text if char in "ab"] == [char for char in held if char in "ab"]


@pytest.mark.parametrize("written", ["code D-51", "code d51", "code D 51", "code d–51"])
def test_a_code_is_one_term_however_it_is_written(written: str) -> None:
    assert "d51" in terms(written)


def test_english_is_stemmed_and_chinese_cut_into_pairs() -> None:
    assert terms("The blocked cards") == ["block", "card"]
    assert terms("冻结银行卡 now 卡") == ["冻结", "结银", "银行", "行卡", "now", "卡"]
    assert terms("") == []
