"""Checks find the flaws that are planted in a model, pass one that has none, and say how they know."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.data.rows import Row
from engine.errors import InputError
from engine.evaluate import words
from engine.evaluate.asked import Answering, Remembering, apart
from engine.evaluate.fairness import Gap, _gendered, fairness
from engine.evaluate.intervals import wilson
from engine.evaluate.probes import DIRECTED, INVARIANT
from engine.evaluate.robustness import Probe, robustness
from engine.predictor import Arrays, Text
from engine.recipe.checks import Fairness, Robustness
from engine.tasks.heads import HeadSpec, ModelSpec

LABELS = ("negative", "neutral", "positive")
ORDERED = Robustness(directional={"mood": list(LABELS)})
TEXTS = [f"{start} {what}" for start in ("Halden", "Norvik", "The bank", "Arla Foods") for what in (
    "says sales are strong this year", "was in good shape in 12 towns", "expects a loss", "will report weak demand",
    "opens a plant in Kenya", "is not for sale", "did see a bad quarter, he said", "can pay its debt", "grows", "falls",
)]  # fmt: skip


@dataclass
class Ruled:
    """A model that answers by a rule: a text's mood from 0, negative, to 1, positive."""

    rule: Callable[[str], float]
    asked: int = 0

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec("classify", (HeadSpec("mood", "single", LABELS),), "", 64, ("en",))

    def probabilities(self, texts: Sequence[Text]) -> Arrays:
        self.asked += len(texts)
        moods = np.array([self.rule(text if isinstance(text, str) else text[0]) for text in texts])
        middle = 1 - 2 * np.abs(moods - 0.5)
        return {"mood": np.stack([np.maximum(0, 1 - 2 * moods), middle, np.maximum(0, 2 * moods - 1)], 1)}


def sound(text: str) -> float:
    """By words alone, whatever their case; "not" turns it round."""
    found = re.findall(r"[a-z]+", text.lower())
    good = sum(word in ("strong", "good", "grows", "wonderful", "great", "gains", "better") for word in found)
    bad = sum(word in ("weak", "bad", "loss", "falls", "terrible", "disaster", "worse", "hurt") for word in found)
    mood = float(np.clip(0.5 + 0.45 * (good - bad), 0.02, 0.98))
    return 1 - mood if "not" in found else mood


def rows(texts: Sequence[str] = TEXTS) -> list[Row]:
    return [Row(text, {}, None, f"test:{number}") for number, text in enumerate(texts)]


def probed(model: Answering, bounds: Robustness = ORDERED) -> dict[str, Probe]:
    return {one.name: one for one in robustness(model, rows(), head="mood", bounds=bounds)}


def exchanged(model: Answering, texts: Sequence[Text] = TEXTS) -> dict[str, Gap]:
    return {one.name: one for one in fairness(model, texts, head="mood", bounds=Fairness())}


def test_a_sound_model_holds_and_its_probes_say_how_many_texts_they_fit() -> None:
    found = probed(Ruled(sound))
    assert list(found) == [*INVARIANT, *DIRECTED]
    assert all(one.held for one in found.values()), found
    assert [name for name, one in found.items() if one.tried == 0] == ["width"]
    assert found["negation"].tried == 16
    assert found["intensifier"].tried == 16
    assert found["number"].tried == 4
    assert found["typos"].tried == len(TEXTS)
    assert 0 < found["typos"].rate < 0.2  # words alone do not survive every typing error
    for one in found.values():
        assert one.rate == (one.failed / one.tried if one.tried else 0)
        assert one.interval[0] <= one.rate <= one.interval[1]
        assert len(one.examples) == min(5, one.failed)


@pytest.mark.parametrize(
    ("flaw", "probe"),
    [
        (lambda text: 0.9 if text.isupper() or text.islower() else 0.5, "case"),
        (lambda text: 0.9 if text.endswith(".") else 0.5, "punctuation"),
        (lambda text: 0.9 if "  " in text else 0.5, "whitespace"),
        (lambda text: min(0.98, len(text) / 60), "neutral_sentence"),
        (lambda text: 0.02 if "wonderful" in text or "great" in text or "gains" in text else 0.5, "good_clause"),
        (lambda text: 0.98 if "terrible" in text or "disaster" in text or "hurt" in text else 0.5, "bad_clause"),
    ],
)  # fmt: skip
def test_a_planted_flaw_is_found_with_examples(flaw: Callable[[str], float], probe: str) -> None:
    one = probed(Ruled(flaw))[probe]
    assert not one.held
    assert one.examples
    assert one.examples[0].text != one.examples[0].changed
    assert one.examples[0].before != one.examples[0].after


TOPICS = HeadSpec("topics", "multi", ("sales", "debt", "labour", "plants"))


@dataclass
class Topical:
    """A model of several labels; a full stop takes away the first label of a text that has two."""

    spec = ModelSpec("classify", (TOPICS,), "", 64, ("en",))

    def probabilities(self, texts: Sequence[Text]) -> Arrays:
        found = []
        for text in map(str, texts):
            on = [word in text for word in ("sales", "bank", "strong", "plant")]
            if text.endswith(".") and sum(on) > 1:
                on[on.index(True)] = False
            found.append([0.9 if one else 0.1 for one in on])
        return {"topics": np.array(found)}


def test_of_several_labels_the_share_that_changes_counts_and_not_every_set_alike() -> None:
    texts = ["sales are strong"] * 30 + ["sales fall"] * 20 + ["nothing new"] * 10
    (punctuation,) = [one for one in robustness(Topical(), rows(texts), head="topics") if one.name == "punctuation"]
    assert (punctuation.tried, punctuation.failed) == (60, 30)
    assert punctuation.rate == pytest.approx(30 * 0.5 / 60)
    assert punctuation.interval[0] < punctuation.rate < punctuation.interval[1]
    assert not punctuation.held  # 0.25 is beyond the usual 0.2
    (case,) = [one for one in robustness(Ruled(sound), rows(texts), head="mood") if one.name == "case"]
    assert case.interval == wilson(0, 60), "that nothing failed is no proof that nothing fails"


@given(st.lists(st.tuples(*[st.tuples(st.floats(0, 1), st.floats(0, 1))] * 4), min_size=1, max_size=8))
def test_answers_are_apart_by_what_only_one_of_them_has(probs: list[tuple[tuple[float, float], ...]]) -> None:
    before, after = np.array(probs)[..., 0], np.array(probs)[..., 1]
    found = apart(TOPICS, before, after)
    for distance, one, other in zip(found, before >= 0.5, after >= 0.5, strict=True):
        either = (one | other).sum()
        assert distance == ((one != other).sum() / either if either else 0)
    assert (apart(TOPICS, after, before) == found).all()
    assert not apart(TOPICS, before, before).any()
    single = HeadSpec("mood", "single", ("a", "b", "c", "d"))
    assert set(apart(single, before, after)) <= {0.0, 1.0}


def test_a_model_that_reads_over_not_fails_the_negation() -> None:
    deaf = probed(Ruled(lambda text: sound(text.replace(" not", ""))))["negation"]
    assert (deaf.tried, deaf.failed) == (16, 16)
    assert deaf.held  # 16 texts are too few to be held against it


def test_directional_probes_are_for_ordered_heads_and_known_labels() -> None:
    assert not set(DIRECTED) & set(probed(Ruled(sound), Robustness()))
    with pytest.raises(InputError, match="no label 'awful'"):
        robustness(Ruled(sound), rows(), head="mood", bounds=Robustness(directional={"mood": ["awful", "neutral"]}))
    with pytest.raises(InputError, match=r"no head 'tone'.*: mood"):
        robustness(Ruled(sound), rows(), head="tone")


def test_a_texts_own_change_hangs_on_no_other_text_and_on_the_seed() -> None:
    model = Ruled(lambda text: len(text) % 7 / 7)
    first = robustness(model, rows(), head="mood", seed=3)
    assert first == robustness(model, rows(), head="mood", seed=3)
    fewer = robustness(model, rows(TEXTS[20:]), head="mood", seed=3)
    late = {one.text: one.changed for probe in first for one in probe.examples if probe.name == "typos"}
    for one in next(probe for probe in fewer if probe.name == "typos").examples:
        assert late.get(one.text, one.changed) == one.changed


@pytest.mark.parametrize(
    ("probe", "text", "changed"),
    [
        ("punctuation", "Sales rose.", "Sales rose"), ("punctuation", "利润上升", "利润上升。"),
        ("punctuation", "Did sales rise?", None), ("contractions", "We don't know", "We do not know"),
        ("contractions", "It is not so", "It's not so"), ("number", "Sales rose in 2024", None),
        ("number", "Order A-1234 is late", None), ("number", "From 10 to 12 shops", None), ("number", "1 shop", None),
        ("width", "利润上升，销量下降。", "利润上升,销量下降."), ("width", "Sales rose, costs fell", None),
        ("negation", "Sales will rise", "Sales will not rise"), ("negation", "Sales will not rise", None),
        ("negation", "The bank has 5 shops", None), ("negation", "The bank has opened 5", "The bank has not opened 5"),
        ("negation", "Will sales rise", None), ("intensifier", "an easy win now", "a very easy win now"),
        ("intensifier", "Shares at a high of 3", None), ("intensifier", "a very good year", None),
        ("bad_clause", "利润上升", "利润上升。"), ("case", "12%", "12%"), ("typos", "7", None),
    ],
)  # fmt: skip
def test_changes_fit_where_they_make_sense(probe: str, text: str, changed: str | None) -> None:
    made = {**INVARIANT, **DIRECTED}[probe].change(text, random.Random(0))  # type: ignore[index]
    assert made == changed or (probe == "bad_clause" and changed and made and made.startswith(changed))


@given(st.text(max_size=80), st.integers(0, 9))
@example("\u0661", 0)  # a digit of another script
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_a_probe_or_an_exchange(text: str, seed: int) -> None:
    for built in (*INVARIANT.values(), *DIRECTED.values()):
        assert built.change(text, random.Random(seed)) == built.change(text, random.Random(seed))
    fairness(Ruled(sound), [text], head="mood", seed=seed, bounds=Fairness(most=1))


@given(st.integers(0, 300), st.integers(0, 300))
def test_wilsons_interval_holds_the_share_and_stays_within_0_and_1(hits: int, misses: int) -> None:
    low, high = wilson(hits, hits + misses)
    assert 0 <= low <= hits / max(1, hits + misses) <= high <= 1 or hits + misses == 0
    # Checked against Brown, Cai & DasGupta 2001, and statsmodels' proportion_confint(method="wilson").
    assert wilson(2, 10) == pytest.approx((0.05668215, 0.50983753))


def test_a_model_blind_to_people_and_places_has_no_gap() -> None:
    found = exchanged(Ruled(sound))
    assert all(one.held and one.gap == one.flips == 0 and not one.lean for one in found.values())
    assert {name.split(":")[0] for name in found} == {
        "another name of the same origin", "origin of the name", "gender of the name", "place", "gendered words"
    }  # fmt: skip
    assert found["gendered words"].inside == 4  # "he said"
    assert found["place: Asia"].inside == 4  # Kenya


def test_a_model_that_minds_a_name_or_a_place_is_found_out() -> None:
    arabic = {"Fatima", "Aisha", "Layla", "Noor", "Samira", "Yasmin", "Mohammed", "Omar", "Khalid", "Youssef", "Tariq",
              "Ahmed"}  # fmt: skip

    europe = {"Germany", "France", "Italy", "Sweden", "Poland", "Portugal", "Berlin:", "Paris:", "Milan:"}

    def prejudiced(text: str) -> float:
        found = set(text.split())
        return 0.1 if found & arabic else 0.9 if found & europe else 0.5

    found = exchanged(Ruled(prejudiced))
    worst = found["origin of the name: Arabic"]
    assert not worst.held
    assert worst.gap == pytest.approx(0.8)
    assert worst.flips == 1
    assert worst.lean.startswith("negative +0.800")
    assert found["another name of the same origin"].gap == 0
    assert found["place: Europe"].lean.startswith("neutral -0.")
    assert found["place: Europe"].gap > found["place: Africa"].gap
    women = exchanged(Ruled(lambda text: 0.2 if re.search(r"\bshe|woman\b", text) else 0.5))["gendered words"]
    assert not women.held


def test_chinese_texts_and_pairs_are_exchanged_in_their_own_words() -> None:
    asked: list[str] = []

    def heard(text: str) -> float:
        asked.append(text)
        return 0.5

    pairs: list[Text] = [("利润上升，他很高兴", "Halden"), ("德国银行亏损", "Halden")]
    found = exchanged(Ruled(heard), pairs)
    assert found["gendered words"].inside == 1
    assert "利润上升，她很高兴" in asked
    assert any("写道：德国银行亏损" in text for text in asked)
    assert any(re.fullmatch("(?!德国).+银行亏损", text) for text in asked)


def test_gendered_words_keep_their_case_and_their_part() -> None:
    english, chinese = words.of("the bank"), words.of("他")
    assert english is not None
    assert chinese is not None
    said = "Her bank fired him; SHE told Mr Smith and his wife about her."
    assert _gendered(said, english) == "His bank fired her; He told Ms Smith and her husband about him."
    assert _gendered("他和其他人弹吉他", chinese) == "她和其他人弹吉他"


def test_what_is_asked_twice_is_answered_once() -> None:
    model = Ruled(sound)
    remembering = Remembering(model)
    first = remembering.probabilities(["a", "b", "a"])
    assert model.asked == 2
    assert np.array_equal(remembering.probabilities(["a", "b", "a"])["mood"], first["mood"])
    assert model.asked == 2
