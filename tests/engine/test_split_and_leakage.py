"""No row, near-duplicate or group stands on both sides of a split."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.leakage import find_leaks, gate
from engine.data.rows import Row
from engine.data.split import Parts, cut
from engine.errors import LeakError
from engine.recipe import Split
from engine.text.near_duplicates import is_near
from engine.text.normalise import normalised, words

WORDS = ("profit bank strike storm ferry verdict recall copper wheat bonds harbour ledger quota merger audit turbine "
         "vaccine tariff rail steel cocoa satellite pension dividend glacier orchard").split()  # fmt: skip


def row(text: str, *, group: str | None = None, label: str = "a") -> Row:
    return Row(text, {"head": label}, group, "test:1")


def sentences(count: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.sample(WORDS, 9)) for _ in range(count)]


@given(
    groups=st.lists(st.integers(0, 12), min_size=30, max_size=80),
    labels=st.lists(st.sampled_from("abc"), min_size=80, max_size=80),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_a_cut_keeps_every_row_once_and_groups_whole(groups: Sequence[int], labels: Sequence[str], seed: int) -> None:
    rows = [
        row(text, group=str(g), label=b) for text, g, b in zip(sentences(len(groups)), groups, labels, strict=False)
    ]
    parts = cut(rows, Split(test=0.2, dev=0.1, calibration=0.1, seed=seed), stratify="head")
    assert sorted(map(id, parts.train + parts.dev + parts.calibration + parts.test)) == sorted(map(id, rows))
    assert not find_leaks(parts)


def test_a_cut_gives_every_part_its_share_of_every_label() -> None:
    rows = [row(text, label="ab"[number % 4 == 0]) for number, text in enumerate(sentences(400))]
    parts = cut(rows, Split(test=0.2, dev=0.1, calibration=0.1), stratify="head")
    for name, share in {"test": 0.2, "dev": 0.1, "calibration": 0.1, "train": 0.6}.items():
        found = getattr(parts, name)
        assert len(found) == pytest.approx(400 * share, abs=3)
        assert sum(r.labels["head"] == "b" for r in found) == pytest.approx(100 * share, abs=2)


def test_the_same_seed_cuts_the_same() -> None:
    rows = [row(text) for text in sentences(60)]
    assert cut(rows, Split(seed=5), stratify=None) == cut(rows, Split(seed=5), stratify=None)
    assert cut(rows, Split(seed=5), stratify=None) != cut(rows, Split(seed=6), stratify=None)


@pytest.mark.parametrize(
    ("kind", "train", "test"),
    [
        ("exact", "Halden cuts its outlook for 2026", "Halden cuts its outlook for 2026"),
        ("normalised", "Halden cuts its outlook for 2026", "HALDEN  cuts its outlook, for 2026!"),
        ("near", "Halden cuts its outlook for the year", "Halden trims its outlook for the year"),
        ("near", "Halden cuts its outlook for the year", "Halden cuts its outlook for the whole current year"),
        ("near", "Halden cuts its outlook for the year", "cuts its outlook for year"),
        ("near", "央行宣布下调存款准备金率零点五个百分点", "央行宣布上调存款准备金率零点五个百分点"),
        ("normalised", "央行宣布,下调准备金率", "央行宣布，下调准备金率。"),
    ],
)
def test_a_text_on_both_sides_is_found_and_named_by_kind(kind: str, train: str, test: str) -> None:
    parts = Parts([row(train), *map(row, sentences(20))], [], [], [row(test), *map(row, sentences(20, seed=9))])
    assert [(leak.kind, leak.part, leak.other_part) for leak in find_leaks(parts)] == [(kind, "train", "test")]


@pytest.mark.parametrize(("theirs", "found"), [({"head": "a"}, 1), ({"head": "b"}, 0), ({"head": None}, 1)])
def test_nearly_equal_texts_of_other_labels_are_not_one_told_twice(theirs: dict[str, str | None], found: int) -> None:
    asked = row("How do I change my PIN"), Row("How do I change my address", theirs, None, "test:2")
    assert len(find_leaks(Parts([asked[0]], [], [], [asked[1]]))) == found
    same = row("How do I change my PIN"), Row("how do I change my PIN?", theirs, None, "test:2")
    assert len(find_leaks(Parts([same[0]], [], [], [same[1]]))) == 1


def test_a_group_on_both_sides_is_found() -> None:
    parts = Parts([row("one thing", group="s")], [], [row("another matter", group="s")], [])
    assert [leak.kind for leak in find_leaks(parts)] == ["group"]


def test_the_gate_refuses_with_the_pairs_or_drops_from_train() -> None:
    parts = Parts([row("a b c d e f"), row("u v w x y z")], [], [], [row("A b c d e f")])
    with pytest.raises(LeakError, match=r"1 leaks.*\n.*normalised: train test:1 'a b c d e f'"):
        gate(parts, "refuse")
    kept, dropped = gate(parts, "drop")
    assert ([r.text for r in kept.train], kept.test, dropped) == (["u v w x y z"], parts.test, 1)


@given(st.lists(st.sampled_from(WORDS), min_size=6, max_size=30), st.data())
@settings(max_examples=60, deadline=None)
def test_two_changed_words_are_near_and_five_are_not(text: list[str], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(text) - 1), min_size=5, max_size=5, unique=True))
    changed = [f"x{n}" if n in places[:2] else word for n, word in enumerate(text)]
    far = [f"x{n}" if n in places else word for n, word in enumerate(text)]
    assert is_near(text, changed)
    assert not is_near(text, far)


def test_normal_forms_meet_across_width_case_and_apostrophes() -> None:
    assert normalised("Ｈａｌｄｅｎ’s 利润，下降！") == normalised("halden's 利润 下降")
    assert words("Q3利润up 5%") == ["q3", "利", "润", "up", "5"]
