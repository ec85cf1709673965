"""Leakage gate: the same text or group on both sides of a split is found before anything is trained."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.data.rows import Row
from engine.data.split import Parts
from engine.errors import LeakError
from engine.text.near_duplicates import NearDuplicates
from engine.text.normalise import normalised

Kind = Literal["exact", "normalised", "near", "group"]
ORDER = ("test", "calibration", "dev", "train")
"""A leak is laid to the part that stands later here: that one gives way."""


@dataclass(frozen=True)
class Leak:
    """`row` of `part` also stands, in the way `kind` says, as `other` of `other_part`."""

    kind: Kind
    part: str
    row: Row
    other_part: str
    other: Row

    def __str__(self) -> str:
        if self.kind == "group":
            return f"group {self.row.group!r}: {self.part} {self.row.origin} = {self.other_part} {self.other.origin}"
        return (
            f"{self.kind}: {self.part} {self.row.origin} {_short(self.row.whole)} = "
            f"{self.other_part} {self.other.origin} {_short(self.other.whole)}"
        )


def find_leaks(parts: Parts) -> list[Leak]:
    """Every pair of rows in different parts with equal, normalised-equal or nearly equal texts or an equal group.

    Texts that are nearly equal and have other labels ("How do I change my PIN?", "How do I change my address?") are not
    one text told twice: the word between them is what a model must learn, and neither gives the other's label away.

    A pair is named once, by the strongest reason (exact, normalised, near, group). A row whose group stands in
    another part is named with one row of that group.
    """
    leaks: list[Leak] = []
    held: list[tuple[str, Row]] = []
    near = NearDuplicates()
    groups: dict[str, int] = {}
    by_normal: dict[str, list[int]] = defaultdict(list)
    for part in ORDER:
        rows: Sequence[Row] = getattr(parts, part)
        for row in rows:
            seen: set[int] = set()
            for number in by_normal[normalised(row.whole)] + near.near(row.whole):
                if number not in seen:
                    other_part, other = held[number]
                    kind = _kind(row.whole, other.whole)
                    if kind != "near" or _one_meaning(row, other):
                        seen.add(number)
                        leaks.append(Leak(kind, part, row, other_part, other))
            number = groups.get(row.group, -1) if row.group is not None else -1
            if number >= 0 and number not in seen:
                leaks.append(Leak("group", part, row, *held[number]))
        near.add(row.whole for row in rows)
        for row in rows:
            by_normal[normalised(row.whole)].append(len(held))
            if row.group is not None:
                groups.setdefault(row.group, len(held))
            held.append((part, row))
    return leaks


def gate(parts: Parts, on_leak: Literal["refuse", "drop"]) -> tuple[Parts, int]:
    """The parts without leaks, and how many rows were dropped for it.

    "drop" takes the leaking row out of train (or out of dev or calibration where it leaks into test); test stays whole.
    A row that augmentation made of a row which is not in train leaks too, however unlike it has become.

    Raises:
        LeakError: there are leaks and `on_leak` is "refuse"; the message lists the pairs.
    """
    leaks = find_leaks(parts)
    if leaks and on_leak == "refuse":
        counts = ", ".join(f"{count} {kind}" for kind, count in Counter(leak.kind for leak in leaks).items())
        pairs = "\n  ".join(map(str, leaks))
        raise LeakError(
            f"{len(leaks)} leaks between the parts ({counts}); remove the rows, or set data.on_leak: drop\n  {pairs}"
        )
    out = {(leak.part, id(leak.row)) for leak in leaks}
    kept = {name: [row for row in rows if (name, id(row)) not in out] for name, rows in vars(parts).items()}
    parts, strays = _without_strays(Parts(**kept), on_leak)
    return parts, len(out) + strays


def _without_strays(parts: Parts, on_leak: Literal["refuse", "drop"]) -> tuple[Parts, int]:
    """The parts without rows in train that were made of rows elsewhere, and how many these were."""
    here = {row.origin for row in parts.train if row.augmented_from is None}
    strays = [row for row in parts.train if row.augmented_from is not None and row.augmented_from not in here]
    if strays and on_leak == "refuse":
        raise LeakError(
            f"{len(strays)} augmented rows are of rows that are not in train, such as {strays[0].origin} of "
            f"{strays[0].augmented_from}; make them anew for this split (engine data augment), or set on_leak: drop"
        )
    out = set(map(id, strays))
    return replace(parts, train=[row for row in parts.train if id(row) not in out]), len(strays)


def _kind(text: str, other: str) -> Kind:
    if text == other:
        return "exact"
    return "normalised" if normalised(text) == normalised(other) else "near"


def _one_meaning(row: Row, other: Row) -> bool:
    """Whether a label speaks for it, or none against it."""
    both = [(label, other.labels.get(name)) for name, label in row.labels.items()]
    single = [(label, theirs) for label, theirs in both if isinstance(label, str) and isinstance(theirs, str)]
    return not single or any(label == theirs for label, theirs in single)


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
