"""Rules: what the business wants of a list, whatever the models say; every move with its receipt.

Boosts and buries change scores; then pins, exclusions, caps and quotas choose and place the first k (`placing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender.items import Items
from engine.errors import InputError

ITEM = "item_id"


@dataclass(frozen=True)
class Match:
    """Items whose field has a value; the field "item_id" names one item."""

    field: str
    value: Any

    def __str__(self) -> str:
        return f"{self.field} = {self.value}"


@dataclass(frozen=True)
class Boost:
    """Adds to the log odds of every behaviour: with 0.7 they double; with less than 0 it buries."""

    match: Match
    by: float

    def __str__(self) -> str:
        return f"{'boost' if self.by >= 0 else 'bury'} {self.match} by {abs(self.by):g}"


@dataclass(frozen=True)
class Pin:
    """Puts an item at a place, from 1, if it is a candidate."""

    item_id: str
    place: int

    def __str__(self) -> str:
        return f"pin {self.item_id} at {self.place}"


@dataclass(frozen=True)
class Exclude:
    match: Match

    def __str__(self) -> str:
        return f"exclude {self.match}"


@dataclass(frozen=True)
class Cap:
    """At most so many of each value of a field in the list; items without a value are not counted."""

    field: str
    most: int

    def __str__(self) -> str:
        return f"at most {self.most} of a {self.field}"


@dataclass(frozen=True)
class Quota:
    """At least so many in the list."""

    match: Match
    least: int

    def __str__(self) -> str:
        return f"at least {self.least} of {self.match}"


Rule = Boost | Pin | Exclude | Cap | Quota


@dataclass(frozen=True)
class Receipt:
    """Why an item does not stand where the scores would put it.

    Attributes:
        cause: the rule, or what else moved it.
        before, after: places from 1; None: not in the list.
        added: to its score; `margins`: behaviour -> to its margin, so that an explanation still adds up.
    """

    item_id: str
    cause: str
    before: int | None
    after: int | None
    added: float = 0.0
    margins: Mapping[str, float] = field(default_factory=dict)


def parse(given: Sequence[Mapping[str, Mapping[str, Any]]]) -> tuple[Rule, ...]:
    """Rules as they are written in settings and requests, one a mapping of its kind to its fields:

        {boost: {field, value, by}}  {bury: {field, value, by}}  {pin: {item, place}}
        {exclude: {field, value}}    {cap: {field, most}}        {quota: {field, value, least}}

    Raises:
        InputError: naming the rule, by its number from 1, and what is wrong with it.
    """
    return tuple(_parsed(number, one) for number, one in enumerate(given, 1))


KINDS: dict[str, dict[str, type]] = {
    "boost": {"field": str, "value": object, "by": float},
    "bury": {"field": str, "value": object, "by": float},
    "pin": {"item": str, "place": int},
    "exclude": {"field": str, "value": object},
    "cap": {"field": str, "most": int},
    "quota": {"field": str, "value": object, "least": int},
}
"""Kind of rule -> its fields and what they hold."""


def _parsed(number: int, given: Any) -> Rule:
    if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in KINDS:
        raise InputError(f"rule {number}: {given!r}; write one of {', '.join(KINDS)} with its fields")
    kind, fields = next(iter(given.items()))
    wanted = KINDS[kind]
    if not isinstance(fields, Mapping) or set(fields) != set(wanted):
        has = ", ".join(map(str, fields)) if isinstance(fields, Mapping) else repr(fields)
        raise InputError(f"rule {number}, {kind}: it has {has or 'nothing'}; it takes {', '.join(wanted)}")
    for name, kept in wanted.items():
        value = fields[name]
        if kept is int and (type(value) is not int or value < 1):
            raise InputError(f"rule {number}, {kind}.{name}: {value!r}; give a whole number from 1")
        if kept is float and (type(value) not in (int, float) or not np.isfinite(value)):
            raise InputError(f"rule {number}, {kind}.{name}: {value!r}; give a number")
        if kept is str and not isinstance(value, str):
            raise InputError(f"rule {number}, {kind}.{name}: {value!r}; give a text")
    match kind:
        case "pin":
            return Pin(fields["item"], fields["place"])
        case "cap":
            return Cap(fields["field"], fields["most"])
    which = Match(fields["field"], fields["value"])
    match kind:
        case "exclude":
            return Exclude(which)
        case "quota":
            return Quota(which, fields["least"])
    return Boost(which, float(fields["by"]) if kind == "boost" else -float(fields["by"]))


def boosts(rules: Sequence[Rule], item_ids: Sequence[str], items: Items) -> list[tuple[Boost, NDArray[np.bool_]]]:
    """Each boost or bury with the rows that it names.

    Raises:
        InputError: a rule names a field that the catalogue lacks.
    """
    fields = Fields(item_ids, items)
    return [(rule, fields.matching(rule.match, rule)) for rule in rules if isinstance(rule, Boost)]


class Fields:
    """What the items of the rows say of themselves, read once a field."""

    def __init__(self, item_ids: Sequence[str], items: Items) -> None:
        self._items = items
        self._numbers = items.numbers(item_ids)
        self._read: dict[str, NDArray[Any]] = {ITEM: np.array(item_ids, dtype=object)}

    def values(self, field: str, rule: Rule) -> NDArray[Any]:
        """Shape (rows,); None of an item that the catalogue lacks."""
        if field not in self._read:
            frame = self._items.frame
            if field not in frame:
                raise InputError(
                    f"'{rule}': items have no field '{field}'; they have {ITEM}, {', '.join(frame.columns)}"
                )
            found = frame[field].take(self._numbers).to_numpy(dtype=object).copy()
            found[self._numbers < 0] = None
            self._read[field] = found
        return self._read[field]

    def matching(self, match: Match, rule: Rule) -> NDArray[np.bool_]:
        return np.array([value == match.value for value in self.values(match.field, rule)], dtype=bool)
