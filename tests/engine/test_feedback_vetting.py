"""Vetting: hostile raters are set aside, honest ones are kept, whoever saw what."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.data.rows import Row
from engine.errors import InputError
from engine.feedback import Feedback, Vetting, rater_of, vet

LABELS = [f"label{number}" for number in range(12)]


def said(text: str, label: str = "", probability: float = 0.9, **given: Any) -> Feedback:
    """A vote for what the model said, or with `named` a correction."""
    named = given.pop("named", None)
    usual: dict[str, Any] = {
        "tenant": "acme", "model": "bot@1", "subject": text, "verdict": None if named else 1.0,
        "said": {"intent": {"label": label, "probability": probability}} if label else {},
        "correction": {"intent": named} if named else None, "kind": "correction" if named else "vote",
        "app": "customer_service", "rater": "u1", "consent": True, "time": "2026-03-01T10:00:00Z",
    }  # fmt: skip
    return Feedback(text=text, id=f"{text}/{given.get('rater', 'u1')}/{named}", **{**usual, **given})


class World:
    """Texts of twelve labels, a model that is right of four fifths of them, and raters of whom a fifth is hostile."""

    def __init__(
        self, seed: int, *, raters: int, texts: int, seen_by: int = 1, share: float = 0.2, by: str = ""
    ) -> None:
        self.by = by
        self.rng = np.random.default_rng(seed)
        self.centres = self.rng.normal(size=(len(LABELS), 32))
        self.vectors: dict[str, NDArray[np.float32]] = {}
        self.known = [Row(*self._text(f"known {n}", n % len(LABELS)), None, "") for n in range(240)]
        self.hostile = set(self.rng.permutation(raters)[: round(share * raters)].tolist())
        self.right: dict[str, bool] = {}
        self.feedback: list[Feedback] = []
        for number in range(texts):
            truth = int(self.rng.integers(len(LABELS)))
            text, _ = self._text(f"text {number}", truth)
            guess = truth if self.rng.random() < 0.8 else self._other(truth)
            probability = self.rng.uniform(0.7, 1.0) if guess == truth else self.rng.uniform(0.3, 0.9)
            for turn in range(seen_by):
                self._speak(text, truth, guess, float(probability), (number + turn) % raters)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self.vectors[text] for text in texts])

    def _text(self, text: str, truth: int) -> tuple[str, dict[str, str]]:
        self.vectors[text] = (self.centres[truth] + self.rng.normal(size=32)).astype(np.float32)
        return text, {"intent": LABELS[truth]}

    def _other(self, truth: int) -> int:
        return int((truth + self.rng.integers(1, len(LABELS))) % len(LABELS))

    def _speak(self, text: str, truth: int, guess: int, probability: float, rater: int) -> None:
        """The honest err once in twenty times; the hostile confirm what is wrong and correct what is right."""
        wrong = rater in self.hostile or self.rng.random() < 0.05
        name: dict[str, Any] = {"rater": f"{self.by}r{rater}"}
        if wrong == (guess == truth):
            name["named"] = LABELS[self._other(truth) if wrong else truth]
        one = said(text, LABELS[guess], probability, **name)
        self.feedback.append(one)
        self.right[one.id] = not wrong


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927)."""
    share, z = hits / of, 1.96
    middle, width = share + z * z / (2 * of), z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - width) / (1 + z * z / of), (middle + width) / (1 + z * z / of)


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: World(seed, raters=20, texts=600),
        lambda seed: World(seed, raters=20, texts=200, seen_by=3),
        lambda seed: World(seed, raters=600, texts=600),
        lambda seed: World(seed, raters=20, texts=600, by="desk/"),
    ],
    ids=["each text seen by one of 20 raters", "by three of them", "by raters who come once", "by one of a desk's 20"],
)
def test_a_fifth_of_hostile_votes_is_mostly_set_aside(make: Callable[[int], World]) -> None:
    given = kept = right = good = 0
    for seed in range(3):
        world = make(seed)
        found = vet(world.feedback, known=world.known, embed=world.embed)
        used = [id for row in found.rows for id in row["feedback"]]
        given, good = given + len(world.feedback), good + sum(world.right.values())
        kept, right = kept + len(used), right + sum(world.right[id] for id in used)
        if len(world.hostile) == 4:
            hostile = {f"{world.by}r{number}" for number in world.hostile}
            assert {one.name for one in found.raters if one.fault} == hostile
    low, high = wilson(right, kept)
    told = f"{right / kept:.3f} ({low:.3f} to {high:.3f})"
    print(f"right before {good / given:.3f}, of what is kept {told}; kept of what is right {right / good:.3f}")
    assert wilson(good, given)[1] < 0.85 < 0.95 < low
    assert right > 0.8 * good


def test_raters_who_agree_outweigh_the_model() -> None:
    rows = [said("my card number", "fees", 0.9, named="cards", rater=f"u{n}") for n in range(3)]
    known = [
        Row(f"what a transfer costs {n}", {"intent": label}, None, "") for n, label in enumerate(("fees", "cards"))
    ]
    (row,) = vet(rows, known=known).rows
    assert row == {
        "text": "my card number", "intent": "cards", "subject": "my card number", "raters": ["u0", "u1", "u2"],
        "feedback": [one.id for one in rows],
    }  # fmt: skip
    assert vet(rows[:1], known=known).rows == []


def test_each_reason_for_setting_aside_is_told() -> None:
    known = [Row(f"what a transfer costs {n}", {"intent": "fees"}, None, "") for n in range(12)]
    rows = {
        "no consent": said("a transfer, please", "fees", consent=False),
        "says nothing": said("a transfer", said={"text": "It is free."}),
        "a vote against": said("what transfers cost", "fees", verdict=0.0),
        "not sure enough": said("what a transfer costs me", "fees", 0.99, named="cards", rater="u2"),
        "again later": said("what a transfer costs us", "fees", rater="u3"),
        "new label": said("my phone is pink", "fees", 0.3, named="colours", rater="u4"),
    }
    later = said("What a transfer costs us!", "fees", rater="u3", time="2026-03-02T10:00:00Z")
    found = vet([later, *rows.values()], known=[*known, Row("a card", {"intent": "cards"}, None, "")])
    why = {one.id: reason for one, reason in found.aside}
    assert {name: name in why[one.id] or why[one.id] for name, one in rows.items() if name != "new label"} == {
        name: True for name in rows if name != "new label"
    }
    assert [row["feedback"] for row in found.rows] == [[later.id]]
    assert rows["new label"].id in why


def test_a_new_label_needs_several_raters_or_a_trusted_one() -> None:
    known = [Row(f"{word} transfer {n}", {"intent": word}, None, "") for word in ("cheap", "late") for n in range(20)]

    def taken(raters: int, **given: Any) -> Counter[str]:
        texts = [
            f"my phone app shows {colour} pictures" for colour in ("pink", "red", "blue", "grey", "green", "brown")
        ]
        rows = [said(text, "late", 0.5, named="app", rater=f"u{n % raters}") for n, text in enumerate(texts)]
        rows = [replace(one, **given) for one in rows]
        return Counter(row["intent"] for row in vet(rows, known=known).rows)

    assert taken(1) == {}
    assert taken(3) == {"app": 6}
    assert taken(1, kind="label", verdict=None) == {"app": 6}, "one who labels for training is trusted"


COLOURS = ["pink", "red", "blue", "grey", "green", "brown", "black", "white", "gold", "cyan", "lime", "plum", "teal"]
COLOURS += ["rose", "rust", "sand"]
OLD = [Row(f"{word} transfer {n}", {"intent": word}, None, "") for word in ("cheap", "late") for n in range(20)]


def invented(*raters: str) -> list[Feedback]:
    """Sixteen texts said to have a label that nobody knows."""
    texts = [f"my phone app shows {colour} pictures" for colour in COLOURS]
    return [said(text, "late", 0.5, named="app", rater=raters[n % len(raters)]) for n, text in enumerate(texts)]


def learnt(rows: list[Feedback], label: str, settings: Vetting | None = None, known: Sequence[Row] = OLD) -> int:
    return sum(row["intent"] == label for row in vet(rows, settings, known=known).rows)


def test_a_labellers_word_weighs_more_where_they_label_and_nowhere_else() -> None:
    label = said("a late transfer", named="late", kind="label", rater="ana")
    rows = invented("ana")
    assert learnt(rows, "app") == 0
    assert learnt([label, *rows], "app") == 0
    assert learnt([replace(one, kind="label") for one in rows], "app") == 16
    assert learnt(rows, "app", Vetting(trusted=("ana",))) == 16
    named = said("my phone app shows neon pictures", named="app", kind="label", rater="ana")
    assert learnt([named, *rows], "app") == 11, "the label is one now; of the rest one rater alone may give ten"


@pytest.mark.parametrize("names", [1, 3, 16])
def test_people_whom_a_key_makes_up_teach_no_new_label(names: int) -> None:
    raters = [rater_of("desk", f"agent {number}") for number in range(names)]
    assert learnt(invented(*raters), "app") == 0
    assert learnt(invented("ana", "bo", *raters), "app") >= 10, "there are three keys"
    for trusted in (raters[0], "desk"):
        assert learnt(invented(*raters), "app", Vetting(trusted=(trusted,))) > 0
    assert learnt(invented(*raters), "app", Vetting(trusted=("agent 0", "des"))) == 0


def test_people_of_one_desk_teach_more_than_one_of_them_and_not_without_bound() -> None:
    texts = [f"what a transfer costs {n}" for n in range(80)]
    asked = [said(text, "fees", rater=rater_of("desk", str(n % 16))) for n, text in enumerate(texts)]
    assert learnt([replace(one, rater="desk/0") for one in asked], "fees") == 10
    assert learnt(asked, "fees") == 50
    assert learnt(asked, "fees", Vetting(key_rows=16, rater_rows=3)) == 16
    others = [said(f"what transfers cost {n}", "fees", rater=f"u{n}") for n in range(80)]
    assert learnt([*asked, *others], "fees") == 160, "the desk's are half of them"
    found = vet(asked, Vetting(key_rows=30)).aside
    assert {why for _, why in found} == {"desk alone would make over 30 rows of intent fees"}


def test_people_of_one_key_who_agree_on_a_text_count_once() -> None:
    def taken(*raters: str) -> int:
        rows = [said("my card number", "fees", 0.9, named="cards", rater=one) for one in raters]
        known = [Row(f"what a transfer costs {label}", {"intent": label}, None, "") for label in ("fees", "cards")]
        return len(vet(rows, known=known).rows)

    assert taken("u0", "u1", "u2") == 1
    assert taken("desk/0", "desk/1", "desk/2") == 0
    assert taken("desk/0", "shop/0", "bank/0") == 1


def test_one_rater_makes_no_more_of_a_label_than_allowed() -> None:
    alone = [said(f"what a transfer costs {n}", "fees") for n in range(40)]
    others = [said(f"what transfers cost {n}", "fees", rater=f"u{n}") for n in range(2, 8)]
    found = vet([*alone, *others])
    assert Counter(name for row in found.rows for name in row["raters"])["u1"] == 10
    assert {reason for _, reason in found.aside} == {"u1 alone would make over 10 rows of intent fees"}
    assert len(vet(alone, Vetting(trusted=("u1",))).rows) == 40
    assert len(vet([*alone, *others], Vetting(rater_share=0.75, rater_rows=1)).rows) == 24, (
        "18 are three quarters of 24"
    )


def test_heads_of_several_labels_and_several_heads_make_one_row() -> None:
    asked = {
        "sentiment": {"label": "neutral", "probability": 0.4},
        "topics": {"labels": ["b", "a"], "probability": 0.9},
    }
    one = said("profits fell", said=asked, named="x")
    one = replace(one, correction={"sentiment": "negative", "topics": ["cyber", "banking"]})
    known = [
        Row(f"profits fell {n}", {"sentiment": "negative", "topics": ("banking", "cyber")}, None, "") for n in range(9)
    ]
    (row,) = vet([one], known=known).rows
    assert (row["sentiment"], row["topics"]) == ("negative", ["banking", "cyber"])


_FEEDBACK = st.builds(
    said,
    st.sampled_from(["a card", "A card!", "my fee", "手续费", "...", "the app"]),
    st.sampled_from(["", "cards", "fees"]),
    st.floats(0, 1),
    named=st.sampled_from([None, "cards", "fees", "new"]),
    rater=st.sampled_from(["", "u1", "u2", "u3"]),
    consent=st.booleans(),
    verdict=st.sampled_from([0.0, 0.5, 1.0]),
    time=st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-02T10:00:00Z"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_FEEDBACK, max_size=25), st.randoms(use_true_random=False))
def test_nothing_is_lost_and_order_does_not_matter(feedback: list[Feedback], rng: random.Random) -> None:
    feedback = [replace(one, id=f"{number:03}") for number, one in enumerate(feedback)]
    known = [Row("a card of mine", {"intent": "cards"}, None, ""), Row("费用", {"intent": "fees"}, None, "")]
    found = vet(feedback, known=known)
    used = [id for row in found.rows for id in row["feedback"]]
    assert sorted([*used, *(one.id for one, _ in found.aside)]) == [one.id for one in feedback]
    assert all(reason for _, reason in found.aside)
    assert {one.id for one in feedback if not one.consent}.isdisjoint(used)
    rng.shuffle(feedback)
    again = vet(feedback, known=known)
    assert again.rows == found.rows
    assert {one.id: why for one, why in again.aside} == {one.id: why for one, why in found.aside}


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"confidence": 1.0}, {"rater_share": 0.0}, {"rater_rows": 0}, {"new_label_raters": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Vetting(**wrong)  # type: ignore[arg-type]
