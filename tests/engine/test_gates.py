"""Each gate refuses what it is there to refuse, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from engine.data.rows import Row
from engine.evaluate.intervals import wilson
from engine.evaluate.robustness import Probe
from engine.gates import better, calibration, forgetting, robustness, slices
from engine.gates.fairness import Measure
from engine.gates.trial import Side, Trial
from engine.recipe import Gates
from engine.tasks.heads import HeadSpec, ModelSpec
from engine.tasks.kinds import Output

OLD, NEW = ("a", "b"), ("a", "b", "c")


@dataclass
class Says:
    """A predictor of whom only labels and temperature are asked."""

    labels: tuple[str, ...]
    temperatures: dict[str, float] = field(default_factory=lambda: {"topic": 1.0})

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec("classify", (HeadSpec("topic", "single", self.labels),), "", 8, ("en",))


def side(labels: tuple[str, ...], said: str, sureness: float = 2.0) -> Side:
    outputs = [Output(np.array([sureness * (label == one) for label in labels])) for one in said]
    model: Any = Says(labels)
    return Side(model, {"topic": outputs})


def trial(
    truth: str, before: str, after: str, *, labels: tuple[str, ...] = OLD, golden: int | None = None,
    sureness: tuple[float, float] = (2.0, 2.0), columns: dict[str, Sequence[Any]] | None = None, **settings: Any
) -> Trial:  # fmt: skip
    """Champion and challenger as the letters that they answer rows of these letters with."""
    rows = [Row("x" * (number % 7 + 1), {"topic": label}, None, "") for number, label in enumerate(truth)]
    sides = side(OLD, before, sureness[0]), side(labels, after, sureness[1])
    return Trial(Gates(**settings), *sides, rows, golden or len(rows), columns or {})


TRUTH = "ab" * 50
WEAK = "aabb" * 25  # half of it right


@pytest.mark.parametrize(
    ("before", "after", "margin", "held"),
    [
        (WEAK, TRUTH, None, True),
        (TRUTH, TRUTH, None, False),  # as good is not better
        (TRUTH, TRUTH, 0.01, True),  # and no worse
        (TRUTH, WEAK, 0.01, False),
        ("a" * 50 + TRUTH[50:], "b" + "a" * 49 + TRUTH[50:], None, False),  # a difference that chance explains
    ],
)
def test_better_needs_evidence_or_with_a_margin_no_worse(
    before: str, after: str, margin: float | None, held: bool
) -> None:
    (gate,) = better.ask(trial(TRUTH, before, after, margin=margin))
    assert gate.held == held
    assert gate.interval is not None
    assert gate.interval[0] <= gate.figure <= gate.interval[1]


def test_rows_of_a_new_label_are_judged_beside_the_golden_ones() -> None:
    truth = TRUTH + "c" * 6
    (gate,) = better.ask(trial(truth, TRUTH + "a" * 6, truth, labels=NEW, golden=100))
    assert gate.held
    assert "100 golden rows and 6 of new labels" in gate.note
    (gate,) = better.ask(trial(truth, TRUTH + "a" * 6, TRUTH + "b" * 6, labels=NEW, golden=100))
    assert not gate.held


def test_an_old_row_that_gets_the_new_label_is_forgotten_and_counts_as_one_error() -> None:
    given = "c" + TRUTH[1:]
    (gate,) = forgetting.ask(trial(TRUTH, TRUTH, given, labels=NEW, forgetting=0.01))
    assert gate.held
    assert -0.01 < gate.figure < 0  # not a third of the mean, as if "c" were a label that all rows miss
    (gate,) = forgetting.ask(trial(TRUTH, TRUTH, "ccc" + TRUTH[3:], labels=NEW, forgetting=0.01))
    assert not gate.held


def test_forgetting_asks_golden_rows_alone() -> None:
    (gate,) = forgetting.ask(trial(TRUTH + "bbbb", TRUTH + "bbbb", TRUTH + "aaaa", golden=100))
    assert gate.held
    assert gate.figure == 0


def test_a_slice_that_pays_for_the_others_is_found() -> None:
    truth, before = "a" * 80 + "b" * 40, "b" * 40 + "a" * 40 + "b" * 40
    after = "a" * 80 + "a" * 20 + "b" * 20
    asked = trial(truth, before, after, slices=["label"], columns={})
    (gate,) = slices.ask(asked)
    assert not gate.held
    assert gate.figure == -0.5
    assert "worst of 2 parts is label b (40 rows)" in gate.note
    assert better.ask(asked)[0].figure > 0


def test_a_slice_may_be_any_column_and_small_ones_are_not_judged() -> None:
    shops = ["north"] * 60 + ["south"] * 35 + ["east"] * 5
    after = TRUTH[:60] + "ba" * 17 + "b" + "babab"
    (gate,) = slices.ask(trial(TRUTH, TRUTH, after, slices=["shop"], columns={"shop": shops}))
    assert not gate.held
    assert "worst of 2 parts is shop south (35 rows)" in gate.note


def test_a_challenger_that_is_surer_than_right_is_refused() -> None:
    (gate,) = calibration.ask(trial(TRUTH, WEAK, WEAK, sureness=(0.1, 6.0)))
    assert not gate.held
    assert calibration.ask(trial(TRUTH, WEAK, WEAK))[0].held


@pytest.mark.parametrize(
    ("changed", "champions", "tried", "held"),
    [
        (10, 0, 100, True),  # at the bound of 0.1
        (13, 0, 100, True),  # a little past it, as one of many is by chance
        (18, 8, 100, False),
        (18, 14, 100, True),  # the champion is there too
        (30, 14, 100, False),
        (100, 14, 1000, True),
        (130, 8, 1000, False),  # of more texts less is chance
        (10, 0, 19, True),  # and few say nothing
    ],
)
def test_a_bound_is_broken_where_the_interval_is_beyond_it_and_beyond_the_champion(
    changed: int, champions: int, tried: int, held: bool
) -> None:
    share, theirs, interval = changed / tried, champions / tried, wilson(changed, tried)
    assert Measure("", share, 0.1, theirs, interval, tried).held == held
    challenger, champion = (
        Probe("typos", "invariance", "topic", "", tried, round(rate * tried), rate, interval, 0.1, ())
        for rate in (share, theirs)
    )
    assert robustness._held(challenger, champion) == held
