"""Words are exchanged for their like; names, numbers, negations and words of opinion are not."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.augment.kept import KEPT, is_kept
from engine.data.augment.synonyms import OfFile, OfNeighbours, OfWordNet, replaced
from engine.data.augment.wordnet import DEFAULT, PARTS, WordNet
from engine.errors import DataError, InputError

Write = Callable[[str, str | bytes], Path]
LICENCE = "  1 This stands for the licence at the head of WordNet's files.  \n"


class Wheel:
    """Any word may become any of four."""

    pattern = OfWordNet.pattern

    def of(self, word: str) -> Sequence[str]:
        return ["apple", "wheel", "Oslo", "hour-long"]


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    """Synsets in the files of WordNet: part, words (each with its uses, and `!` where it has an antonym)."""
    synsets = [
        ("n", ["car 71", "auto 3", "automobile 9", "motorcar 0", "horseless_carriage 0"]),
        ("n", ["growth 20 !", "increase 30 !"]),
        ("n", ["report 60", "study 70"]),
        ("v", ["report 64", "describe 30"]),
        ("n", ["bank 20", "depository 9"]),
        ("n", ["bank 15", "slope 9"]),
        ("v", ["choose 35", "pick 12"]),
        ("n", ["rose 9", "rosebush 9"]),
        ("a", ["whole 81", "entire 9"]),
    ]
    index: dict[str, dict[str, list[int]]] = {part: {} for part in PARTS}
    opposed: set[str] = set()
    uses: list[str] = []
    data = dict.fromkeys(PARTS, LICENCE)
    for part, words in synsets:
        place = len(data[part])
        names = [word.split()[0] for word in words]
        data[part] += (
            f"{place:08} 06 {part} {len(names):02x} {' '.join(f'{name} 0' for name in names)} 000 | a gloss  \n"
        )
        for word in words:
            name, count, *antonym = word.split()
            senses = index[part].setdefault(name, [])
            senses.append(place)
            opposed |= {name} if antonym else set()
            uses.append(f"{name}%{list(PARTS).index(part) + 1}:06:{len(uses):02}:: {len(senses)} {count}\n")
    for part, name in PARTS.items():
        lines = [
            f"{lemma} {part} {len(at)} {'1 !' if lemma in opposed else '0'} {len(at)} 0 "
            f"{' '.join(f'{place:08}' for place in at)}\n"
            for lemma, at in sorted(index[part].items())
        ]
        (tmp_path / f"index.{name}").write_text(LICENCE + "".join(lines))
        (tmp_path / f"data.{name}").write_text(data[part])
        (tmp_path / f"{name}.exc").write_text("rose rise\n" if part == "v" else "")
    (tmp_path / "cntlist.rev").write_text("".join(uses))
    return tmp_path


def test_wordnet_gives_the_words_of_the_most_frequent_sense_that_people_use(wordnet: Path) -> None:
    assert WordNet(wordnet).of("car") == ["auto", "automobile"]
    assert WordNet(wordnet).of("whole") == ["entire"]
    assert WordNet(wordnet).of("choose") == ["pick"]


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("growth", "has an antonym"),
        ("report", "is as often a verb as a noun"),
        ("bank", "has two senses as frequent"),
        ("slope", "is a synonym of a rare sense"),
        ("cars", "is no base form"),
        ("rose", "is a form of rise"),
        ("picked", "is a form of pick"),
        ("unknown", "is not in WordNet"),
    ],
)
def test_wordnet_gives_nothing_for_a_word_that(wordnet: Path, word: str, why: str) -> None:
    assert WordNet(wordnet).of(word) == [], why


def test_a_folder_without_wordnet_is_told(wordnet: Path) -> None:
    (wordnet / "data.verb").unlink()
    with pytest.raises(DataError, match=r"has no data.verb; give WordNet's folder \(apt install wordnet-base"):
        WordNet(wordnet)


@pytest.mark.skipif(not DEFAULT.is_dir(), reason="Debian's wordnet-base is not installed")
def test_the_real_wordnet_is_read() -> None:
    assert "automobile" in WordNet().of("car")
    assert WordNet().of("good") == []


def test_a_file_of_synonyms_is_taken_at_its_word(write: Write) -> None:
    thesaurus = OfFile(write("synonyms.txt", "# ours\ncard: bank card, plastic\n\n公司：企业、集团\n"))
    texts = {
        replaced("Card lost, my card!", thesaurus, 1, random.Random(seed), frozenset({"card"})) for seed in range(20)
    }
    assert texts == {
        f"{first} lost, my {second}!" for first in ("Bank card", "Plastic") for second in ("bank card", "plastic")
    }
    assert {replaced("该公司利润下降", thesaurus, 1, random.Random(seed), frozenset()) for seed in range(20)} == {
        "该企业利润下降",
        "该集团利润下降",
    }
    assert replaced("discards scorecard", thesaurus, 1, random.Random(0), frozenset()) == "discards scorecard"


@pytest.mark.parametrize("line", ["card", "card:", ": plastic", "card plastic"])
def test_a_line_of_synonyms_that_says_nothing_is_named(write: Write, line: str) -> None:
    with pytest.raises(DataError, match=r"synonyms.txt, line 2: .*; write it as 'word: other, another'"):
        OfFile(write("synonyms.txt", f"a: b\n{line}\n"))


def test_neighbours_come_from_the_train_texts_by_their_vectors() -> None:
    texts = ["profit at the harbour", "lorries wait near harbour", "trucks wait in quayside", "quayside lorries trucks"]
    texts += ["quayside harbour lorries", "trucks up down gain", "profit gain", "profit gain truckload", "truckload"]
    directions = {"harbour": 0.0, "quayside": 0.1, "lorries": 1.2, "trucks": 1.3, "truckload": 1.3, "wait": 2.5}

    def embed(words: list[str]) -> np.ndarray:
        assert not set(words) & {"profit", "gain", "down", "the"}
        return np.array([[np.cos(directions[word]), np.sin(directions[word])] for word in words], dtype=np.float32)

    neighbours = OfNeighbours(texts, embed)
    assert {word: neighbours.of(word) for word in directions} == {
        "harbour": ["quayside"], "quayside": ["harbour"], "lorries": ["trucks"], "trucks": ["lorries"],
        "truckload": [], "wait": [],
    }  # fmt: skip


def test_names_numbers_and_joined_words_stay() -> None:
    text = "Profit at Nokia fell 12% in Q3, it's U.S. well-known (a@b.org) 利润下降"
    for seed in range(20):
        new = replaced(text, Wheel(), 1, random.Random(seed), frozenset({"profit"}))
        assert new.split(" ")[1:3] == [new.split(" ")[1], "Nokia"]
        assert new.endswith(" it's U.S. well-known (a@b.org) 利润下降")
        assert "12%" in new
        assert "Q3," in new
        assert new[0].isupper()
        assert not new.startswith("Profit")
    assert replaced("Profit", Wheel(), 1, random.Random(0), frozenset()) == "Profit"


def test_an_article_keeps_its_sound() -> None:
    found = {replaced("an elephant, a house", Wheel(), 1, random.Random(seed), frozenset()) for seed in range(60)}
    for text in found:
        first, second = text.split(", ")
        assert first.split(" ")[1] in ("apple", "Oslo")
        assert second.split(" ")[1] in ("wheel", "hour-long")


@given(st.lists(st.sampled_from(["some", "word", "12", "利润", "Nokia"]), min_size=1).map(" ".join), st.integers(0, 99))
def test_the_same_seed_replaces_alike_and_the_share_is_kept(text: str, seed: int) -> None:
    once = replaced(text, Wheel(), 0.3, random.Random(seed), frozenset())
    assert once == replaced(text, Wheel(), 0.3, random.Random(seed), frozenset())
    changed = sum(old != new for old, new in zip(text.split(), once.split(), strict=True))
    assert changed <= max(1, 0.3 * len(text.split()) + 1)
    assert changed or not {"some", "word"} & set(text.split())


def test_words_of_opinion_are_kept_in_all_their_forms() -> None:
    assert {"not", "up", "down", "fell", "seven"} <= KEPT
    assert all(map(is_kept, ["increasing", "sellers", "cutting", "weakest", "closed", "raised"]))
    assert not any(map(is_kept, ["car", "company", "announced", "meeting"]))


def test_a_share_of_words_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="share of words 0: give a number over 0, 1 at most"):
        replaced("text", Wheel(), 0, random.Random(0), frozenset())
