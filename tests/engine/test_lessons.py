"""Which feedback teaches, judges or is set aside, and why."""

from __future__ import annotations

from engine.data.rows import Row
from engine.data.split import Parts
from engine.feedback import Feedback
from engine.lessons import lessons, without_leaks
from engine.recipe import Retrain
from engine.tasks.heads import HeadSpec

INTENT = HeadSpec("intent", "single", ("card", "cash"))
WORDS = "alpha bravo delta echo golf hotel india kilo lima mike oscar papa quebec romeo sierra tango".split()


def said(number: int, label: str, text: str | None = None, head: str = "intent") -> list[Feedback]:
    """Two who label for training say it of one text."""
    own = text or f"{WORDS[number % 16]} {WORDS[number // 16]} asks about {label} number {number} please"
    return [
        Feedback(
            "t", "bot@1", f"s{number}", own, {}, correction={head: label}, app="console", kind="label", rater=rater,
            consent=True, id=f"{number}-{rater}", time="2026-01-01T00:00:00Z",
        )
        for rater in ("ann", "bob")
    ]  # fmt: skip


def test_a_label_of_few_rows_is_set_aside_and_one_of_enough_is_dealt_to_learn_and_to_judge() -> None:
    feedback = [one for number in range(20) for one in said(number, "loan")]
    feedback += [one for number in range(20, 23) for one in said(number, "lone")]
    found = lessons(feedback, [INTENT], Retrain())
    assert found.heads[0].labels == ("card", "cash", "loan")
    assert found.new_labels == ("loan",)
    assert (len(found.new), len(found.judges)) == (16, 4)
    assert {one.reason for one in found.aside} == {"intent has no label 'lone': a new label needs 10 rows"}
    assert {one.id for one in found.aside} == {
        f"{number}-{rater}" for number in (20, 21, 22) for rater in ("ann", "bob")
    }
    again = lessons(feedback[::-1], [INTENT], Retrain())
    assert {one.row.text for one in again.judges} == {one.row.text for one in found.judges}


def test_what_taught_or_judged_the_champion_is_not_new() -> None:
    feedback = [one for number in range(6) for one in said(number, "card")]
    learnt, judged = frozenset({"0-ann"}), frozenset({"1-ann"})  # and bob has said the same since
    found = lessons(feedback, [INTENT], Retrain(), learnt=learnt, judged=judged)
    assert [len(part) for part in (found.known, found.judges, found.new)] == [1, 1, 4]


def test_a_model_of_several_heads_learns_no_new_label() -> None:
    heads = [INTENT, HeadSpec("mood", "multi", ("calm", "cross"))]
    found = lessons([one for number in range(20) for one in said(number, "loan")], heads, Retrain())
    assert not found.new
    assert found.aside[0].reason == "intent has no label 'loan': train anew with the label in the recipe"


def test_what_stands_among_rows_that_judge_stop_or_calibrate_is_set_aside() -> None:
    golden = Row("Why was my card payment declined at the shop yesterday?", {"intent": "card"}, None, "golden")
    calibration = Row("where can i take out cash", {"intent": "cash"}, None, "calibration")
    given = (
        "Why was my card payment declined at the shop today?",
        "Where can I take out CASH",
        "How do I order a card?",
    )
    feedback = [
        one for number, text in enumerate(given) for one in said(number, "cash" if number == 1 else "card", text)
    ]
    found = lessons(feedback, [INTENT], Retrain())
    without_leaks(found, Parts([], [], [calibration], [golden]))
    assert [one.row.text for one in found.new] == ["How do I order a card?"]
    assert {one.id: one.reason for one in found.aside if one.id.endswith("ann")} == {
        "0-ann": "equals a row of test (near)",
        "1-ann": "equals a row of calibration (normalised)",
    }
