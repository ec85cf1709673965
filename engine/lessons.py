"""Lessons: feedback as rows to learn from, told apart by what the champion has learnt already, what judges, what is set
aside and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from engine.data import leakage, sources
from engine.data.rows import BadRow, Row
from engine.data.split import Parts
from engine.decision import Aside
from engine.feedback import Feedback, Vetting, neighbours, vet
from engine.recipe import Retrain
from engine.tasks import kinds
from engine.tasks.heads import HeadSpec
from engine.text.normalise import normalised


@dataclass(frozen=True)
class Lesson:
    row: Row
    ids: tuple[str, ...]
    """Of the feedback that it came of."""


@dataclass
class Lessons:
    heads: tuple[HeadSpec, ...]
    """The champion's, with the labels that feedback adds at their end."""
    new_labels: tuple[str, ...] = ()
    new: list[Lesson] = field(default_factory=list)
    known: list[Lesson] = field(default_factory=list)
    """Those that taught the champion."""
    judges: list[Lesson] = field(default_factory=list)
    """Rows of new labels, kept from training; those that judged the champion come first."""
    aside: list[Aside] = field(default_factory=list)

    def drop(self, lesson: Lesson, reason: str) -> None:
        self.aside += [Aside(id, reason) for id in lesson.ids]


def lessons(
    feedback: Sequence[Feedback],
    heads: Sequence[HeadSpec],
    settings: Retrain,
    *,
    known: Sequence[Row] = (),
    learnt: frozenset[str] = frozenset(),
    judged: frozenset[str] = frozenset(),
    embed: neighbours.Embed = neighbours.by_letters,
) -> Lessons:
    """What vetted feedback teaches a classifier with these heads.

    Args:
        known: rows beyond doubt, which speak for and against what is said of texts like them.
        learnt, judged: ids of feedback that taught the champion, and of that which judged it.
        embed: gives the vectors by which texts are alike.
    """
    vetted = vet(feedback, Vetting(**settings.vetting.model_dump()), known=known, embed=embed)
    found = Lessons(tuple(heads), aside=[Aside(one.id, reason) for one, reason in vetted.aside])
    given = [(values, tuple(values["feedback"])) for values in vetted.rows]
    found.heads, found.new_labels = _widened(heads, [values for values, _ in given], settings.new_label)
    added = set(found.new_labels)
    unheard: list[Lesson] = []
    for values, ids in given:
        try:
            lesson = Lesson(_row(values, found.heads, settings.new_label), ids)
        except BadRow as fault:
            found.aside += [Aside(id, str(fault)) for id in ids]
            continue
        if judged & set(ids):
            found.judges.append(lesson)
        elif learnt & set(ids):  # further votes for a label that was learnt are no further row
            found.known.append(lesson)
        elif added & set(map(str, lesson.row.labels.values())):
            unheard.append(lesson)
        else:
            found.new.append(lesson)
    for lesson, judges in _dealt(unheard, settings.held):
        (found.judges if judges else found.new).append(lesson)
    return found


def without_leaks(found: Lessons, parts: Parts) -> None:
    """Set aside what equals or nearly equals a row of `parts` that judges, stops or calibrates.

    Args:
        parts: without train; its test rows are the golden ones and the judges.
    """
    rows = {id(lesson.row): lesson for lesson in found.new}
    leaks = leakage.find_leaks(replace(parts, train=[lesson.row for lesson in found.new]))
    out: dict[int, str] = {}
    for leak in leaks:
        if leak.part == "train" and id(leak.row) in rows:
            out.setdefault(id(leak.row), f"equals a row of {leak.other_part} ({leak.kind})")
    for number, reason in out.items():
        found.drop(rows[number], reason)
    found.new = [lesson for lesson in found.new if id(lesson.row) not in out]


def _widened(
    heads: Sequence[HeadSpec], rows: Sequence[Mapping[str, Any]], least: int
) -> tuple[tuple[HeadSpec, ...], tuple[str, ...]]:
    """The heads with the labels that enough rows give and they lack; of a model with one single-label head."""
    if len(heads) != 1 or heads[0].kind != "single":
        return tuple(heads), ()
    (head,) = heads
    counts = Counter(str(row[head.name]) for row in rows if row.get(head.name) not in (None, ""))
    added = tuple(sorted(label for label, count in counts.items() if count >= least and label not in head.labels))
    return (replace(head, labels=head.labels + added),), added


def _row(values: Mapping[str, Any], heads: Sequence[HeadSpec], least: int) -> Row:
    """The row, its group the subject that it belongs to.

    Raises:
        BadRow: it has no label of these heads, or its text is none.
    """
    text = sources.check_text(values["text"], "text")
    labels = {}
    for head in heads:
        value = values.get(head.name)
        if head.kind == "single" and value not in (None, "") and str(value) not in head.labels:
            can = f"a new label needs {least} rows" if len(heads) == 1 else "train anew with the label in the recipe"
            raise BadRow(f"{head.name} has no label {str(value)[:60]!r}: {can}")
        labels[head.name] = kinds.of(head.kind).read(head, value, head.name, text, None)
    if all(label is None for label in labels.values()):
        raise BadRow("says nothing of a head")
    subject = values.get("subject")
    return Row(text, labels, f"feedback {subject}" if subject else None, "feedback")


def _dealt(lessons: Sequence[Lesson], held: float) -> list[tuple[Lesson, bool]]:
    """Each lesson with whether it judges: of each label the share `held`, at least one, drawn by the texts' hashes."""
    by_label: dict[str, list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        by_label[str(next(iter(lesson.row.labels.values())))].append(lesson)
    found = []
    for label in sorted(by_label):
        drawn = sorted(by_label[label], key=lambda one: sha256(normalised(one.row.text).encode()).hexdigest())
        count = max(1, round(held * len(drawn)))
        found += [(lesson, number < count) for number, lesson in enumerate(drawn)]
    return found
