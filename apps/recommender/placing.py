"""Placing: the first k of the candidates by score that meet pins, exclusions, caps and quotas.

Of all choices that meet them the one with the greatest sum of scores is taken, found exactly, so quotas are met or the
rules that forbid it are named: by greed where the rules that bind nest or lie apart, by a small integer programme
(HiGHS) where they cross.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender import laminar
from apps.recommender.candidates import Floats
from apps.recommender.items import Items
from apps.recommender.laminar import Bound
from apps.recommender.rules import Boost, Cap, Exclude, Fields, Pin, Quota, Receipt, Rule
from engine.errors import InputError

WHOLE = 1e-6
"""How far from a whole number a share of an item may lie and still be one."""


@dataclass(frozen=True)
class Placed:
    """Row numbers in the order to be shown, and what was moved."""

    order: NDArray[np.int64]
    receipts: tuple[Receipt, ...]


def place(rules: Sequence[Rule], item_ids: Sequence[str], scores: Floats, items: Items, k: int) -> Placed:
    """The first k by score that meet pins, exclusions, caps and quotas; shorter where caps or exclusions leave fewer.

    Args:
        item_ids: candidates, each once.
        scores: shape (candidates,); equal ones keep the order given.

    Raises:
        InputError: the rules cannot all be met, naming those in each other's way; or a rule names an unknown field.
    """
    by_score = np.argsort(-scores, kind="stable")
    before = _places(scores)
    problem = _Problem.of(rules, item_ids, items, k)
    chosen = problem.best(by_score, scores)
    if chosen is None:
        raise InputError(problem.why(scores))
    order = _pinned(by_score[np.isin(by_score, chosen)], problem.pins)
    after = {int(row): number for number, row in enumerate(order.tolist(), 1)}
    receipts = []
    for row in by_score.tolist():
        was, now = (int(before[row]) if before[row] <= k else None), after.get(row)
        if was != now and (cause := problem.cause(row, item_ids, was, now)):
            receipts.append(Receipt(item_ids[row], cause, was, now))
    return Placed(order, tuple(receipts))


@dataclass(frozen=True)
class _Bound(Bound):
    """Whose rule it is, and in which words."""

    rule: Rule
    told: str


@dataclass(frozen=True)
class _Problem:
    k: int
    count: int
    """Of candidates."""
    excludes: tuple[tuple[Exclude, NDArray[np.bool_]], ...]
    pins: dict[int, int]
    """Row -> place from 0."""
    rules: tuple[Rule, ...]
    bounds: tuple[_Bound, ...]

    @classmethod
    def of(cls, rules: Sequence[Rule], item_ids: Sequence[str], items: Items, k: int) -> _Problem:
        excludes: list[tuple[Exclude, NDArray[np.bool_]]] = []
        bounds: list[_Bound] = []
        pins: dict[int, int] = {}
        rows, fields = {item: row for row, item in enumerate(item_ids)}, Fields(item_ids, items)
        if len(rows) < len(item_ids):
            raise InputError("a candidate stands twice; rules place each once")
        taken: dict[int, Pin] = {}
        for rule in rules:
            if isinstance(rule, Exclude):
                excludes.append((rule, fields.matching(rule.match, rule)))
            elif isinstance(rule, Pin) and rule.item_id in rows:
                if not 1 <= rule.place <= k:
                    raise InputError(f"'{rule}': the list has the places 1 to {k}; choose one of them")
                if rule.place in taken or rows[rule.item_id] in pins:
                    other = taken.get(rule.place) or next(one for one in taken.values() if one.item_id == rule.item_id)
                    raise InputError(f"'{rule}' and '{other}' cannot both be; take one out")
                taken[rule.place] = rule
                pins[rows[rule.item_id]] = rule.place - 1
                alone = np.arange(len(item_ids)) == rows[rule.item_id]
                bounds.append(_Bound(alone, 1, 1, rule, str(rule)))
            elif isinstance(rule, Quota):
                bounds.append(_Bound(fields.matching(rule.match, rule), rule.least, len(item_ids), rule, str(rule)))
            elif isinstance(rule, Cap):
                bounds += _caps(rule, fields.values(rule.field, rule))
        return cls(k, len(item_ids), tuple(excludes), pins, tuple(rules), tuple(bounds))

    def barred(self, without: Rule | None = None) -> NDArray[np.bool_]:
        """Rows that some exclusion names."""
        rows = [rows for rule, rows in self.excludes if rule is not without]
        return np.any(rows, axis=0) if rows else np.zeros(self.count, dtype=bool)

    @cached_property
    def excluded(self) -> NDArray[np.bool_]:
        return self.barred()

    def broken(self, chosen: NDArray[np.int64]) -> list[_Bound]:
        counts = [int(one.rows[chosen].sum()) for one in self.bounds]
        return [one for one, count in zip(self.bounds, counts, strict=True) if not one.low <= count <= one.high]

    def best(self, order: NDArray[np.int64], scores: Floats) -> NDArray[np.int64] | None:
        """As `solve`. The bounds that the best choice under some of them breaks are added to these, until it breaks
        none: then it is the best under all."""
        bounds: list[_Bound] = []
        free = order[~self.excluded[order]]
        while (chosen := laminar.best(free, bounds, self.k)) is not None and (broken := self.broken(chosen)):
            bounds += broken
            if not laminar.nested(np.array([one.rows & ~self.excluded for one in bounds])):
                return self.solve(scores)
        return chosen

    def solve(self, scores: Floats, without: Rule | None = None) -> NDArray[np.int64] | None:
        """The rows of the best choice, or None where there is none, by the integer programme.

        Without the demand for whole numbers first: two families of bounds, each of sets that nest or lie apart, have
        whole solutions (Edmonds 1970), in a tenth of the time.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp

        bounds = [one for one in self.bounds if one.rule is not without]
        kept = self._undominated(np.argsort(-scores, kind="stable"), bounds, self.barred(without))
        if not len(kept):
            return None if any(one.low for one in bounds) else kept
        # A full list first, then the scores: one more item outweighs any loss of score.
        spread = float(np.ptp(scores)) or 1.0
        worth = ((scores - scores.min()) / spread + self.k + 1)[kept]
        matrix = np.vstack([np.ones(len(kept)), *(one.rows[kept].astype(np.float64) for one in bounds)])
        lows, highs = ([0, *(one.low for one in bounds)], [self.k, *(one.high for one in bounds)])
        for whole in (0, 1):
            found = milp(
                -worth,
                integrality=np.full(len(kept), whole),
                bounds=Bounds(0, 1),
                constraints=LinearConstraint(matrix, lows, highs),
            )
            if found.x is None or np.abs(found.x - np.round(found.x)).max() < WHOLE:
                break
        return np.sort(kept[found.x > 0.5]) if found.x is not None else None

    def _undominated(
        self, order: NDArray[np.int64], bounds: Sequence[_Bound], barred: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Rows that may be taken, best first, less those that stand behind as many in the very same bounds as these let
        in."""
        signs = np.array([one.rows for one in bounds]).reshape(len(bounds), self.count)
        most = np.where(signs, np.array([one.high for one in bounds]).reshape(-1, 1), self.k).min(
            axis=0, initial=self.k
        )
        counts: dict[bytes, int] = {}
        kept = []
        for row in order[~barred[order]].tolist():
            own = signs[:, row].tobytes()
            counts[own] = counts.get(own, 0) + 1
            if counts[own] <= most[row]:
                kept.append(row)
        return np.array(kept, dtype=np.int64)

    def why(self, scores: Floats) -> str:
        """Rules without any one of which the others could be met."""
        for one in self.bounds:
            there = int((one.rows & ~self.excluded).sum())
            if there < one.low:
                left = " that no rule excludes" if (one.rows & self.excluded).any() else ""
                return f"'{one.told}' cannot be met: of {len(scores)} candidates {there} are such{left}; retrieve more"
        tried = [rule for rule in dict.fromkeys(self.rules) if not isinstance(rule, Boost)]
        guilty = [str(rule) for rule in tried if self.solve(scores, without=rule) is not None]
        named = " and ".join(f"'{rule}'" for rule in guilty) or ", ".join(f"'{rule}'" for rule in tried)
        return f"{named} cannot all be met in a list of {self.k}; take one out, or ask for a longer list"

    def cause(self, row: int, item_ids: Sequence[str], was: int | None, now: int | None) -> str:
        """Of a move: the rule that names the item, or those that the items before it had to meet."""
        if self.excluded[row]:
            return "excluded" if was is not None else ""
        if row in self.pins:
            return f"pin {item_ids[row]} at {self.pins[row] + 1}"
        mine = [one for one in self.bounds if one.rows[row] and not isinstance(one.rule, Pin)]
        if was is not None and now is None:
            caps = [one.told for one in mine if isinstance(one.rule, Cap)]
            return caps[0] if caps else "made room for others' quotas and pins"
        if was is None and now is not None:
            quotas = [one.told for one in mine if isinstance(one.rule, Quota)]
            return quotas[0] if quotas else "took the place of what a rule put out"
        return "moved by others' rules"


def _caps(rule: Cap, values: NDArray[Any]) -> Iterator[_Bound]:
    there = np.array([value is not None and value == value for value in values], dtype=bool)
    codes = {value: code for code, value in enumerate(dict.fromkeys(values[there].tolist()))}
    coded = np.full(len(values), -1)
    coded[there] = [codes[value] for value in values[there].tolist()]
    counts = np.bincount(coded[there], minlength=len(codes))
    for value, code in codes.items():
        if counts[code] > rule.most:
            yield _Bound(coded == code, 0, rule.most, rule, f"{rule} ({value})")


def _places(scores: Floats) -> NDArray[np.int64]:
    """Of each row by score, from 1."""
    places = np.empty(len(scores), dtype=np.int64)
    places[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return places


def _pinned(order: NDArray[np.int64], pins: dict[int, int]) -> NDArray[np.int64]:
    """The pinned at their places, the others in order round them; in a list too short for it, as late as all fit."""
    rest = [row for row in order.tolist() if row not in pins]
    for row, at in sorted(pins.items(), key=lambda pin: pin[1]):
        rest.insert(at, row)
    return np.array(rest, dtype=np.int64)
