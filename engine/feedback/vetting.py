"""Vetting: which feedback models may learn from, and why the rest is set aside.

A text's label is taken when it is probable enough after all that speaks for and against it: its raters, each as far as
they are reliable, the model that answered, and texts like it (`reliability`). Feedback is set aside where there is no
consent, where its rater contradicts all that more often than chance allows, where another label is more probable, and
where one rater, or one key, alone would make too much of a label.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from engine.feedback.voice import Voice
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
    """Raters, each of another key, without whom no new label is taken, where no trusted one names it."""
    rater_share: float = 0.5
    """Most of a label's rows that may be one rater's alone."""
    rater_rows: int = 10
    """Rows of a label that may be one rater's alone, however many there are."""
    key_rows: int = 50
    """The same of one key, whoever speaks by it: the people of a desk share one, and who has it can make up more."""
    trusted: tuple[str, ...] = ()
    """Raters who are known, or keys for all who speak by them: their word weighs more at first, and no limit holds for
    it. What is labelled for training is trusted too; what the same rater says elsewhere is not."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1:
            raise InputError(f"confidence {self.confidence:g}: choose 0.5 to 1")
        if not 0 < self.rater_share <= 1:
            raise InputError(f"rater_share {self.rater_share:g}: choose a share, over 0 to 1")
        if min(self.rater_rows, self.key_rows, self.new_label_raters) < 1:
            raise InputError("rater_rows, key_rows, new_label_raters: choose 1 or more")

    def trusts(self, voice: Voice) -> bool:
        return voice.labels or voice.rater in self.trusted or voice.key in self.trusted


@dataclass(frozen=True)
class Rater:
    """`claims`: how many labels they spoke of; `wrong`: how many of those are thought wrong; `knows`: how often they
    are thought to know rather than to guess; `fault`: why they are not believed."""

    name: str
    claims: int
    wrong: float
    knows: float
    fault: str | None = None
    labels: bool = False
    """Whether this is about what they labelled for training, or about what they said elsewhere."""


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
    voices = {voice: place for place, voice in enumerate(sorted({one.voice for one in heard}))}
    trusted = {voice for voice in voices if settings.trusts(voice)}
    near = neighbours.near(embed([*(shown[text] for text in texts), *(row.text for row in known)]), len(texts))
    heads = sorted({one.head for one in heard})
    cases = [case(head, heard, texts, voices, trusted, known, near) for head in heads]
    weighed = weigh([one.question for one in cases], np.array([voice in trusted for voice in voices]))
    judged = _judged(voices, weighed.claims, weighed.wrong, weighed.knows)
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


def _judged(voices: Mapping[Voice, int], counts: Array, wrong: Array, knows: Array) -> dict[Voice, Rater]:
    """The raters, and those who are wrong more often than chance lets one who is like the others be."""
    from scipy.stats import binom

    usual = max(USUAL_WRONG, float(np.median((wrong + USUAL_WRONG) / (counts + 1.0))))
    found = {}
    for voice, place in voices.items():
        number, missed = int(counts[place]), int(wrong[place])
        p_value = float(binom.sf(missed - 1, number, usual)) if missed else 1.0
        fault = None
        if p_value < CHANCE / len(voices):
            name = voice.rater or "its rater"
            fault = f"{name} contradicts models, neighbours and other raters {missed} times of {number}"
        found[voice] = Rater(voice.rater, number, float(wrong[place]), float(knows[place]), fault, voice.labels)
    return found


def _taken(
    one: Case,
    beliefs: Array,
    texts: Sequence[str],
    raters: Mapping[Voice, Rater],
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
            why = raters[claim.voice].fault
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
    taken: Sequence[_Taken], settings: Vetting, trusted: set[Voice], aside: dict[str, tuple[Feedback, str]]
) -> list[_Taken]:
    """No rater alone, and no key, makes more of a label than the settings allow; the surest are kept."""
    found: list[_Taken] = []
    by_label: dict[tuple[str, Label], list[_Taken]] = defaultdict(list)
    for one in taken:
        by_label[one.head, one.label].append(one)
    for mine in by_label.values():
        voices = {claim.voice for one in mine for claim in one.claims}
        keys = {voice.key for voice in voices}
        if mine[0].new and len(keys) < settings.new_label_raters and not voices & trusted:
            label = _shown(mine[0].label)
            why = f"a new label, {label}, is taken from raters of {settings.new_label_raters} keys or a trusted one"
            _set_aside(mine, why, aside)
            continue
        share, key_rows = settings.rater_share, max(settings.key_rows, settings.rater_rows)
        left = _cut(mine, lambda voice: voice.rater, settings.rater_rows, share, trusted, aside)
        found += _cut(left, lambda voice: voice.key, key_rows, share, trusted, aside)
    return found


def _cut(
    taken: Sequence[_Taken],
    who: Callable[[Voice], str],
    most: int,
    share: float,
    trusted: set[Voice],
    aside: dict[str, tuple[Feedback, str]],
) -> list[_Taken]:
    """Rows of one label, without those by which one alone would make more of it than `most` and than the share."""
    found: list[_Taken] = []
    alone: dict[str, list[_Taken]] = defaultdict(list)
    for one in taken:
        voices = {claim.voice for claim in one.claims}
        names = {who(voice) for voice in voices}
        if len(names) == 1 and not voices & trusted:
            alone[names.pop()].append(one)
        else:
            found.append(one)
    kept = _within(Counter({name: len(rows) for name, rows in alone.items()}), len(taken), most, share)
    for name, rows in alone.items():
        rows.sort(key=lambda one: (-one.belief, one.text))
        found += rows[: kept[name]]
        why = f"{name or 'its rater'} alone would make over {kept[name]} rows of {rows[0].head} {_shown(rows[0].label)}"
        _set_aside(rows[kept[name] :], why, aside)
    return found


def _set_aside(taken: Sequence[_Taken], why: str, aside: dict[str, tuple[Feedback, str]]) -> None:
    for one in taken:
        for claim in one.claims:
            aside.setdefault(claim.feedback.id, (claim.feedback, why))


def _within(counts: Counter[str], total: int, most: int, share: float) -> Counter[str]:
    """How many rows of each leave them at most the share, or the number, that one may have."""
    shared = total - counts.total()
    while True:
        bound = max(most, int(share * (shared + counts.total())))
        cut = Counter({name: min(count, bound) for name, count in counts.items()})
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
