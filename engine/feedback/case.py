"""Case: the claims on one head as numbers, beside what the models said and how texts like these are labelled."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.data.rows import Row
from engine.feedback.claims import Claim, Form, Label, label_of, said_label
from engine.feedback.neighbours import Array, Near
from engine.feedback.reliability import Question, Spoken
from engine.feedback.voice import Voice
from engine.text.normalise import normalised

SHARPNESS = 3
"""Power of the cosine that a neighbour weighs by."""
ANOTHER = ""
"""Stands for all labels that nobody named."""
FORMS: tuple[Form, ...] = ("names", "confirms", "denies")


@dataclass(frozen=True)
class Case:
    head: str
    labels: Mapping[Label, int]
    claims: Mapping[int, Sequence[Claim]]
    """By the place of their text."""
    question: Question

    def new(self, label: Label) -> bool:
        """Whether no model knows it."""
        return bool(self.question.new[self.labels[label]])


def case(
    head: str,
    claims: Sequence[Claim],
    texts: Mapping[str, int],
    voices: Mapping[Voice, int],
    trusted: Collection[Voice],
    known: Sequence[Row],
    near: Near,
) -> Case:
    """The claims of one head as numbers.

    Args:
        texts: normalised text -> place.
        near: neighbours of the texts among the texts and, behind them, the known rows.
    """
    mine = [one for one in claims if one.head == head]
    known_labels = [label_of(row.labels.get(head)) for row in known]
    named = {one.label for one in mine} | {label for label in known_labels if label is not None} | {ANOTHER}
    labels = {label: place for place, label in enumerate(sorted(named, key=str))}
    old = {ANOTHER, *known_labels, *(said_label(one.feedback, head) for one in mine)}
    by_text: dict[int, list[Claim]] = {}
    for one in mine:
        by_text.setdefault(texts[normalised(one.feedback.text)], []).append(one)
    model = np.zeros((len(texts), len(labels)))
    for place, spoken in by_text.items():
        model[place] = _said(spoken, head, labels)
    sure = np.zeros((len(texts), len(labels)))
    weights = np.maximum(near.cosines, 0.0) ** SHARPNESS
    for (place, column), other in np.ndenumerate(near.places):
        if other < len(texts):
            if not _apart(by_text.get(place), by_text.get(int(other)), trusted):
                weights[place, column] = 0.0
            continue
        label = known_labels[other - len(texts)]
        if label is not None:
            sure[place, labels[label]] += weights[place, column]
        weights[place, column] = 0.0
    spoken_of = {form: _independent([one for one in mine if one.form == form], trusted) for form in FORMS}
    return Case(
        head,
        labels,
        by_text,
        Question(
            model,
            np.array([bool(known) and label not in old for label in labels]),
            sure,
            np.where(near.places < len(texts), near.places, 0),
            weights,
            [
                Spoken(
                    form,
                    np.array([texts[normalised(one.feedback.text)] for one in found]),
                    np.array([labels[one.label] for one in found]),
                    np.array([voices[one.voice] for one in found]),
                )
                for form, found in spoken_of.items()
                if found
            ],
        ),
    )


def _independent(claims: Sequence[Claim], trusted: Collection[Voice]) -> list[Claim]:
    """Without those that say again what the same key says of a text: whoever has it can make up people who agree."""
    found: dict[tuple[str, Label, str | Voice], Claim] = {}
    for one in claims:
        who = one.voice if one.voice in trusted else one.voice.key
        found.setdefault((normalised(one.feedback.text), one.label, who), one)
    return list(found.values())


def _apart(mine: Sequence[Claim] | None, others: Sequence[Claim] | None, trusted: Collection[Voice]) -> bool:
    """Whether others can speak for a text: nobody is a witness of what they say themselves."""
    if not mine or not others:
        return False
    shared = {one.voice for one in mine} & {one.voice for one in others}
    return shared <= set(trusted)


def _said(spoken: Sequence[Claim], head: str, labels: Mapping[Label, int]) -> Array:
    """What the newest model that spoke gave each label; zeros where none did."""
    found = np.zeros(len(labels))
    for one in sorted(spoken, key=lambda claim: (claim.feedback.time, claim.feedback.id), reverse=True):
        label = said_label(one.feedback, head)
        if label is None:
            continue
        told: Any = one.feedback.said[head].get("probability")
        probability = min(max(told, 0.0), 1.0) if isinstance(told, int | float) else 0.5
        at = labels.get(label)
        found[:] = (1.0 - probability) / max(1, len(labels) - (at is not None))
        if at is not None:
            found[at] = probability
        break
    return found
