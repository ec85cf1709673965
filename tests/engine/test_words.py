"""Words and languages: texts in ASCII take a shorter way to the same."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.text.languages import detect
from engine.text.normalise import words


@given(st.text(string.printable))
def test_words_of_plain_texts_are_those_of_the_long_way(text: str) -> None:
    assert words(text + " 中") == [*words(text), "中"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Profit falls at Acme", "en"),
        ("Der Gewinn von Acme ist gefallen und die Aktie auch", "de"),
        ("Il governo ha deciso: è la fine del processo", "it"),
        ("1 - 2 = ?", None),
        ("公司利润下降", "zh"),
        ("トヨタの利益", "ja"),
        ("Acme 利润", "zh"),
    ],
)
def test_languages_are_told_by_script_and_common_words(text: str, language: str | None) -> None:
    assert detect(text) == language
