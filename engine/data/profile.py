"""Profile: what a file's rows look like, in numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.data.rows import Row
from engine.text.near_duplicates import near_pairs
from engine.text.normalise import normalised

QUANTILES = (0.0, 0.05, 0.5, 0.95, 0.99, 1.0)


@dataclass
class Field:
    """A column: how many rows hold which type of value, and how many hold nothing."""

    name: str
    types: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    """Rows where it is absent, null or an empty string."""


@dataclass(frozen=True)
class Balance:
    """A head's labels."""

    head: str
    rows: dict[str, int]
    """Label -> rows that bear it, the most frequent first; a label of the recipe that no row bears has 0."""
    unlabelled: int
    ratio: float | None
    """Rows of the most frequent label for each of the rarest; None where a label has no row, or there are no labels."""


@dataclass(frozen=True)
class Duplicate:
    """A row that says the same as an earlier one."""

    kind: str
    """exact (equal but for case, punctuation and spacing) or near."""
    row: str
    other: str
    """Origins."""
    text: str
    differs: list[str]
    """Heads that the two rows label differently: one of them is wrong."""


def fields(records: Iterable[Mapping[str, Any]]) -> list[Field]:
    """The columns of the records, in order of first appearance."""
    found: dict[str, Field] = {}
    count = 0
    for record in records:
        count += 1
        for name, value in record.items():
            one = found.setdefault(str(name), Field(str(name)))
            if value is not None and value != "":
                kind = type(value).__name__
                one.types[kind] = one.types.get(kind, 0) + 1
    for one in found.values():
        one.missing = count - sum(one.types.values())
    return list(found.values())


def balance(head: str, known: Sequence[str], rows: Sequence[Row]) -> Balance:
    """Label counts of a head over the rows; for a head without labels, such as one of numbers, only who has none."""
    counts: Counter[str] = Counter(dict.fromkeys(known, 0))
    unlabelled = 0
    for row in rows:
        label = row.labels.get(head)
        if label is None:
            unlabelled += 1
        elif known:
            counts.update([label] if isinstance(label, str) else _names(label))
    least = min(counts.values(), default=0)
    ratio = max(counts.values()) / least if least else None
    return Balance(head, dict(counts.most_common()), unlabelled, ratio)


def quantiles(lengths: Sequence[int]) -> dict[str, int]:
    """min, 5%, 50%, 95%, 99% and max of the lengths; all 0 where there are none."""
    names = ["min", *(f"{quantile:.0%}" for quantile in QUANTILES[1:-1]), "max"]
    values = np.quantile(lengths, QUANTILES, method="nearest") if lengths else [0] * len(names)
    return {name: int(value) for name, value in zip(names, values, strict=True)}


def duplicates(rows: Sequence[Row]) -> list[Duplicate]:
    """Rows that repeat an earlier row, exactly or nearly, each once; those labelled differently first."""
    first: dict[str, int] = {}
    same: dict[int, int] = {}
    for number, row in enumerate(rows):
        earlier = first.setdefault(normalised(row.whole), number)
        if earlier != number:
            same[number] = earlier
    singles = list(first.values())
    likes: dict[int, list[int]] = defaultdict(list)
    for left, right in near_pairs([rows[number].whole for number in singles]):
        likes[singles[right]].append(singles[left])
    found = [_duplicate("exact", rows[number], rows[other]) for number, other in same.items()]
    for number, others in likes.items():
        named = [_duplicate("near", rows[number], rows[other]) for other in others]
        found.append(max(named, key=lambda one: len(one.differs)))
    return sorted(found, key=lambda one: not one.differs)


def _duplicate(kind: str, row: Row, other: Row) -> Duplicate:
    both = [head for head in row.labels if row.labels[head] is not None and other.labels.get(head) is not None]
    differs = [head for head in both if _as_set(row.labels[head]) != _as_set(other.labels[head])]
    return Duplicate(kind, row.origin, other.origin, row.text, differs)


def _as_set(label: Any) -> Any:
    return frozenset(label) if isinstance(label, tuple) and all(isinstance(one, str) for one in label) else label


def _names(label: Iterable[Any]) -> list[str]:
    """Labels of a multi-label row, or types of its entities (start, end, type)."""
    return [one if isinstance(one, str) else one[2] for one in label]
