"""Noise mistypes the share of letters it is told to, evenly, and nothing else."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import DamerauLevenshtein

from engine.data.augment.noise import NEIGHBOURS, noisy
from engine.data.noise_copies import noise_copies
from engine.data.rows import Row
from engine.errors import InputError
from engine.recipe import Noise
from engine.text.normalise import CJK

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60) | st.text("aB é利润下降 1%-", max_size=60)


@given(TEXTS, st.floats(0, 1), st.integers(0, 2**32))
def test_the_same_seed_mistypes_alike(text: str, share: float, seed: int) -> None:
    assert noisy(text, share, random.Random(seed)) == noisy(text, share, random.Random(seed))
    first, second = (noisy(text, share, np.random.default_rng(seed)) for _ in range(2))
    assert first == second


@given(TEXTS, st.floats(0, 1), st.integers(0, 2**32))
def test_what_is_no_letter_stays_in_its_order(text: str, share: float, seed: int) -> None:
    def others(value: str) -> str:
        return "".join(char for char in value if not char.isalpha())

    assert others(noisy(text, share, random.Random(seed))) == others(text)


@given(TEXTS, st.floats(0, 1), st.integers(0, 2**32))
def test_chinese_characters_are_swapped_or_left_out_but_never_made_up(text: str, share: float, seed: int) -> None:
    assert Counter(CJK.findall(noisy(text, share, random.Random(seed)))) <= Counter(CJK.findall(text))


@given(st.text("abcdefgh IJK利润下降", min_size=10, max_size=200), st.floats(0.01, 0.5), st.integers(0, 2**32))
def test_each_hit_is_one_edit(text: str, share: float, seed: int) -> None:
    letters = sum(map(str.isalpha, text))
    assert DamerauLevenshtein.distance(text, noisy(text, share, random.Random(seed))) <= share * letters + 1


def test_hits_are_spread_evenly_over_short_words_and_long_ones() -> None:
    text = " ".join(["a ab abc abcdefgh"] * 20)
    source = random.Random(1)
    words, typed = text.split(" ") * 1000, [w for _ in range(1000) for w in noisy(text, 0.1, source).split(" ")]
    total, spared = Counter(words), Counter(word for word, other in zip(words, typed, strict=True) if word == other)
    for word in total:  # a swap moves two letters of a word but is one hit
        assert (spared[word] / total[word]) ** (1 / len(word)) == pytest.approx(0.9, abs=0.01)


def test_all_five_kinds_of_error_come_about() -> None:
    typed = {noisy("ab", 0.5, random.Random(seed)) for seed in range(300)}
    assert {"b", "a", "ba", "aab", "abb", "Ab", "aB"} <= typed
    assert {f"{key}b" for key in NEIGHBOURS["a"]} <= typed


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="share of letters 10: give a number from 0 to 1"):
        noisy("text", 10, random.Random(0))


def test_a_copy_says_nothing_of_places_in_the_text_and_none_is_made_that_says_nothing_at_all() -> None:
    rows = [
        Row("Profit at Halden fell", {"names": ((10, 16, "company"),), "mood": "bad"}, None, "x:1"),
        Row("Ostara waits for news", {"names": ((0, 6, "company"),), "mood": None}, None, "x:2"),
        Row("a question", {}, None, "x:3", pair="an answer to it"),
    ]
    first, pair = noise_copies(rows, Noise(share=0.5), places=["names"], seed=1)
    assert first.labels == {"names": None, "mood": "bad"}
    assert first.text != rows[0].text
    assert pair.labels == {}
    assert pair.pair != rows[2].pair
    assert len(noise_copies(rows, Noise(copies=2), places=(), seed=1)) == 6
