"""Vetting: which feedback models may learn from, and why the rest is set aside.

A text's label is taken when it is probable enough after all that speaks for and against it: its raters, each as far as
they are reliable, the model that answered, and texts like it (`reliability`). Feedback is set aside where there is no
consent, where its rater contradicts all that more often than chance allows, where another label is more probable, and
where one rater alone would make too much of a label.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.data.rows import Row
from engine.errors import InputError
from engine.feedback import neighbours
from engine.feedback.case import Case, case
from engine.feedback.claims import Claim, Label, claims
from engine.feedback.log import Feedback
from engine.feedback.reliability import Array, weigh
from engine.text.normalise import normalised

CHANCE = 0.05
"""Probability that any of the raters is distrusted though all are alike (Bonferroni)."""
USUAL_WRONG = 0.05
"""Share of wrong claims that any rater is granted."""


@dataclass(frozen=True)
class Vetting:
    """Settings.

    Raises:
        InputError: a value is out of its range.
    """

    confidence: float = 0.8
    """Probability from which a label is taken."""
    new_label_raters: int = 3
    """Raters without whom no new label is taken, where no trusted one names it."""
    rater_share: float = 0.5
    """Most of a label's rows that may be one rater's alone."""
    rater_rows: int = 10
    """Rows of a label that may be one rater's alone, however many there are."""
    trusted: tuple[str, ...] = ()
    """Raters who are known: their word weighs more at first, and no limit holds for them. Those who label for training
    are trusted too."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1:
            raise InputError(f"confidence {self.confidence:g}: choose 0.5 to 1")
        if not 0 < self.rater_share <= 1:
            raise InputError(f"rater_share {self.rater_share:g}: choose a share, over 0 to 1")
        if self.rater_rows < 1 or self.new_label_raters < 1:
            raise InputError("rater_rows, new_label_raters: choose 1 or more")


@dataclass(frozen=True)
class Rater:
    """`claims`: how many labels they spoke of; `wrong`: how many of those are thought wrong; `knows`: how often they
    are thought to know rather than to guess; `fault`: why they are not believed."""

    name: str
    claims: int
    wrong: float
    knows: float
    fault: str | None = None


@dataclass(frozen=True)
class Vetted:
    rows: list[dict[str, Any]] = field(default_factory=list)
    """To learn from: {"text", HEAD: label, ..., "subject", "raters", "feedback"}; `feedback`: the ids it comes from."""
    aside: list[tuple[Feedback, str]] = field(default_factory=list)
    """What is not learnt from, and why."""
    raters: list[Rater] = field(default_factory=list)
    """By name."""


@dataclass(frozen=True)
class _Taken:
    """A label that is thought true, and the claims that it rests on."""

    text: str
    head: str
    label: Label
    new: bool
    belief: float
    claims: tuple[Claim, ...]


def vet(
    feedback: Sequence[Feedback],
    settings: Vetting | None = None,
    *,
    known: Sequence[Row] = (),
    embed: neighbours.Embed = neighbours.by_letters,
) -> Vetted:
    """Rows to learn from, and what is set aside with its reason; the same in whatever order the feedback comes.

    Args:
        known: labelled rows beyond doubt, such as those that the model learnt from.
        embed: gives the vectors by which texts are neighbours.
    """
    settings = settings or Vetting()
    aside: dict[str, tuple[Feedback, str]] = {}
    heard = _heard(sorted(feedback, key=_order), aside)
    if not heard:
        return Vetted(aside=list(aside.values()))
    shown = {normalised(one.feedback.text): one.feedback.text for one in heard}
    texts = {text: place for place, text in enumerate(sorted(shown))}
    raters = {name: place for place, name in enumerate(sorted({one.feedback.rater for one in heard}))}
    trusted = {*settings.trusted, *(one.feedback.rater for one in heard if one.feedback.kind == "label")}
    near = neighbours.near(embed([*(shown[text] for text in texts), *(row.text for row in known)]), len(texts))
    heads = sorted({one.head for one in heard})
    cases = [case(head, heard, texts, raters, trusted, known, near) for head in heads]
    weighed = weigh([one.question for one in cases], np.array([name in trusted for name in raters]))
    judged = _judged(raters, weighed.claims, weighed.wrong, weighed.knows)
    taken: list[_Taken] = []
    for one, beliefs in zip(cases, weighed.beliefs, strict=True):
        taken += _taken(one, beliefs, list(texts), judged, settings, aside)
    rows = _rows(_limited(taken, settings, trusted, aside))
    used = {id for row in rows for id in row["feedback"]}
    return Vetted(rows, [told for id, told in aside.items() if id not in used], list(judged.values()))


def _order(one: Feedback) -> tuple[str, str]:
    return one.time, one.id


def _heard(feedback: Sequence[Feedback], aside: dict[str, tuple[Feedback, str]]) -> list[Claim]:
    """Claims that may be learnt from; of a rater's on one text and head the last one."""
    last: dict[tuple[str, str, str], Claim] = {}
    for one in feedback:
        text, said = normalised(one.text), claims(one)
        if not one.consent:
            aside[one.id] = one, "no consent to train on it"
        elif not text or not said:
            aside[one.id] = one, "it says nothing of a text's label"
        else:
            for claim in said:
                key = (text, claim.head, one.rater)
                if before := last.get(key):
                    aside[before.feedback.id] = before.feedback, f"{one.rater or 'its rater'} spoke of it again later"
                last[key] = claim
    return sorted(last.values(), key=lambda claim: (_order(claim.feedback), claim.head))


def _judged(raters: Mapping[str, int], counts: Array, wrong: Array, knows: Array) -> dict[str, Rater]:
    """The raters, and those who are wrong more often than chance lets one who is like the others be."""
    from scipy.stats import binom

    usual = max(USUAL_WRONG, float(np.median((wrong + USUAL_WRONG) / (counts + 1.0))))
    found = {}
    for name, place in raters.items():
        number, missed = int(counts[place]), int(wrong[place])
        p_value = float(binom.sf(missed - 1, number, usual)) if missed else 1.0
        fault = None
        if p_value < CHANCE / len(raters):
            fault = f"{name or 'its rater'} contradicts models, neighbours and other raters {missed} times of {number}"
        found[name] = Rater(name, number, float(wrong[place]), float(knows[place]), fault)
    return found


def _taken(
    one: Case,
    beliefs: Array,
    texts: Sequence[str],
    raters: Mapping[str, Rater],
    settings: Vetting,
    aside: dict[str, tuple[Feedback, str]],
) -> Iterator[_Taken]:
    """Labels that are probable enough and rest on somebody's word."""
    names = list(one.labels)
    for place, said in one.claims.items():
        best = int(beliefs[place].argmax())
        label, belief = names[best], float(beliefs[place, best])
        backers = []
        for claim in said:
            why = raters[claim.feedback.rater].fault
            if why is None and claim.form == "denies":
                why = "a vote against a label teaches none"
            if why is None and (claim.label != label or belief < settings.confidence):
                own = float(beliefs[place, one.labels[claim.label]])
                why = f"{one.head} {_shown(claim.label)} is not sure enough, {own:.2f}"
                if claim.label != label:
                    why += f"; {_shown(label)} has {belief:.2f}"
            if why is None:
                backers.append(claim)
            else:
                aside.setdefault(claim.feedback.id, (claim.feedback, why))
        if backers:
            yield _Taken(texts[place], one.head, label, one.new(label), belief, tuple(backers))


def _limited(
    taken: Sequence[_Taken], settings: Vetting, trusted: set[str], aside: dict[str, tuple[Feedback, str]]
) -> list[_Taken]:
    """No rater alone makes more of a label than the settings allow; the surest are kept."""
    found: list[_Taken] = []
    by_label: dict[tuple[str, Label], list[_Taken]] = defaultdict(list)
    for one in taken:
        by_label[one.head, one.label].append(one)
    for (head, label), mine in by_label.items():
        raters = {claim.feedback.rater for one in mine for claim in one.claims}
        if mine[0].new and len(raters) < settings.new_label_raters and not raters & trusted:
            why = f"a new label, {_shown(label)}, is taken from {settings.new_label_raters} raters or a trusted one"
            _set_aside(mine, why, aside)
            continue
        alone: dict[str, list[_Taken]] = defaultdict(list)
        for one in mine:
            names = {claim.feedback.rater for claim in one.claims}
            if len(names) == 1 and not names & trusted:
                alone[names.pop()].append(one)
            else:
                found.append(one)
        kept = _within(Counter({name: len(rows) for name, rows in alone.items()}), len(mine), settings)
        for name, rows in alone.items():
            rows.sort(key=lambda one: (-one.belief, one.text))
            found += rows[: kept[name]]
            why = f"{name or 'its rater'} alone would make over {kept[name]} rows of {head} {_shown(label)}"
            _set_aside(rows[kept[name] :], why, aside)
    return found


def _set_aside(taken: Sequence[_Taken], why: str, aside: dict[str, tuple[Feedback, str]]) -> None:
    for one in taken:
        for claim in one.claims:
            aside.setdefault(claim.feedback.id, (claim.feedback, why))


def _within(counts: Counter[str], total: int, settings: Vetting) -> Counter[str]:
    """How many rows of each rater leave them at most the share, or the number, that one may have."""
    shared = total - counts.total()
    while True:
        most = max(settings.rater_rows, int(settings.rater_share * (shared + counts.total())))
        cut = Counter({name: min(count, most) for name, count in counts.items()})
        if cut == counts:
            return cut
        counts = cut


def _rows(taken: Sequence[_Taken]) -> list[dict[str, Any]]:
    """One row a text, in order of the texts."""
    by_text: dict[str, list[_Taken]] = defaultdict(list)
    for one in taken:
        by_text[one.text].append(one)
    rows = []
    for _, mine in sorted(by_text.items()):
        backers = sorted(
            {claim.feedback.id: claim.feedback for one in mine for claim in one.claims}.values(), key=_order
        )
        row: dict[str, Any] = {"text": backers[0].text}
        for one in sorted(mine, key=lambda each: each.head):
            row[one.head] = list(one.label) if isinstance(one.label, tuple) else one.label
        row["subject"] = backers[0].subject
        row["raters"] = sorted({one.rater for one in backers})
        row["feedback"] = [one.id for one in backers]
        rows.append(row)
    return rows


def _shown(label: Label) -> str:
    return ", ".join(label) if isinstance(label, tuple) else label or "another label"
