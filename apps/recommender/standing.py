"""Standing: the candidates of one request as they stand, best first, and what brought each of them there.

Of every behaviour a candidate's margin is what the models say, and what moved it. A boost adds to the margins. A move
to another place, by diversity, a rule or chance, gives a candidate the margins of the one that stood there: so scores
fall along every list, and base, parts and moves add up to the margin that it stands by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender.fusion import Doubles, Fusion
from apps.recommender.past import Floats
from apps.recommender.rules import Receipt

BASE, FUSION = "base", "fusion"
Margins = Mapping[str, Doubles]
"""Behaviour -> margin of each row, shape (rows,)."""


@dataclass(frozen=True)
class Evidence:
    """A past item, and its share of what the texts say for a candidate."""

    item_id: str
    title: str
    share: float
    """In the unit of the text score (log of how much likelier than an item drawn evenly); below 0: against."""


@dataclass(frozen=True)
class Ranked:
    """A candidate with its place.

    Attributes:
        rank: from 1.
        score: what it stands by: the expected value of showing it, and what moved it.
        probabilities: behaviour -> how likely, whatever moved it.
        margins: behaviour -> what it stands by, before calibration: the sum of its contributions and moves.
        contributions: behaviour -> feature, or other part -> its part of the margin; "base" is what no feature says.
            Asked for by `explain`, as are `features`, the values that are not missing, and `evidence`, the strongest
            first.
        moves: what boosts, diversity, rules and chance did, in that order.
        propensity: of its place, given those above; 1 where nothing was drawn.
    """

    item_id: str
    rank: int
    score: float
    probabilities: Mapping[str, float]
    margins: Mapping[str, float]
    contributions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    moves: tuple[Receipt, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)
    propensity: float = 1.0


@dataclass(frozen=True)
class Standing:
    """Rows in order, best first.

    Attributes:
        numbers: of the items in the catalogue; `matrix`: their features.
        parts: what the models say: "fusion", and what was added to it -> margins.
        margins: of the parts and the moves.
        values: behaviour -> what one is worth in this request.
        moves: of each row.
    """

    fusion: Fusion
    item_ids: NDArray[np.object_]
    numbers: NDArray[np.int32]
    matrix: Floats
    parts: Mapping[str, Margins]
    margins: Margins
    values: Mapping[str, float] | None
    moves: tuple[tuple[Receipt, ...], ...]
    propensities: Doubles

    @classmethod
    def of(
        cls,
        fusion: Fusion,
        item_ids: NDArray[np.object_],
        numbers: NDArray[np.int32],
        matrix: Floats,
        values: Mapping[str, float] | None = None,
    ) -> Standing:
        """By what the boosters say; equal candidates keep the order given.

        Raises:
            InputError: there is a value for a behaviour that nothing was learnt of.
        """
        margins = fusion.margins(matrix)
        count = len(item_ids)
        found = cls(
            fusion, item_ids, numbers, matrix, {FUSION: margins}, margins, values, ((),) * count, np.ones(count)
        )
        return found._sorted()

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def scores(self) -> Doubles:
        """What the rows stand by, shape (rows,)."""
        return self.fusion.scores(self.fusion.probabilities(self.margins), self.values)

    def told(self, part: str, added: Margins) -> Standing:
        """With what one more model says, added to the margins."""
        return replace(self, parts={**self.parts, part: added}, margins=_sum(self.margins, added))._sorted()

    def at_odds(self, added: Doubles) -> Margins:
        """What adds so much to the log odds of every behaviour."""
        return {name: added / self.fusion.curves[name][0] for name in self.margins}

    def boosted(self, cause: str, rows: NDArray[np.bool_], by: float) -> Standing:
        """With `by` added to the log odds of every behaviour."""
        added = self.at_odds(np.where(rows, by, 0.0))
        found = replace(self, margins=_sum(self.margins, added))
        order = found._order
        places = np.empty(len(self), np.int64)
        places[order] = np.arange(len(self))
        moves = list(self.moves)
        for row in np.flatnonzero(rows).tolist():
            own = {name: float(each[row]) for name, each in added.items()}
            gain = float(found.scores[row] - self.scores[row])
            moves[row] += (Receipt(self.item_ids[row], cause, row + 1, int(places[row]) + 1, gain, own),)
        return replace(found, moves=tuple(moves)).take(order)

    def moved(self, order: NDArray[np.int64], causes: Mapping[str, str]) -> Standing:
        """Rows in a new order, perhaps not all of them; each that changed its place gets the margins of its new one.

        Args:
            causes: item id -> what moved it.
        """
        margins = {name: each[: len(order)] for name, each in self.margins.items()}
        moves = list(self.moves)
        for place, row in enumerate(order.tolist()):
            if place != row:
                added = {name: float(each[place] - each[row]) for name, each in self.margins.items()}
                item, gain = self.item_ids[row], float(self.scores[place] - self.scores[row])
                moves[row] += (Receipt(item, causes[item], row + 1, place + 1, gain, added),)
        return replace(replace(self, moves=tuple(moves)).take(order), margins=margins)

    def take(self, order: NDArray[Any]) -> Standing:
        """Some rows, in a given order."""
        return replace(
            self,
            item_ids=self.item_ids[order],
            numbers=self.numbers[order],
            matrix=self.matrix[order],
            parts={name: {key: each[order] for key, each in part.items()} for name, part in self.parts.items()},
            margins={name: each[order] for name, each in self.margins.items()},
            moves=tuple(self.moves[row] for row in order.tolist()),
            propensities=self.propensities[order],
        )

    def rows(
        self, *, explain: bool = False, evidence: Sequence[tuple[Evidence, ...]] = (), first: int = 1
    ) -> tuple[Ranked, ...]:
        """The rows as they are handed out.

        Args:
            evidence: of each row.
            first: place of the first row.
        """
        said: Margins = {}
        for part in self.parts.values():
            said = _sum(said, part) if said else part
        likely = self.fusion.probabilities(said)
        reasons = self._contributions() if explain else [{}] * len(self)
        values = self._values() if explain else [{}] * len(self)
        return tuple(
            Ranked(
                self.item_ids[row],
                first + row,
                float(self.scores[row]),
                {name: float(each[row]) for name, each in likely.items()},
                {name: float(each[row]) for name, each in self.margins.items()},
                reasons[row],
                self.moves[row],
                evidence[row] if evidence else (),
                values[row],
                float(self.propensities[row]),
            )
            for row in range(len(self))
        )

    def _values(self) -> list[dict[str, float]]:
        """Of each row: feature -> its value, where it is not missing."""
        return [
            {name: value for name, value in zip(self.fusion.names, row, strict=True) if value == value}
            for row in self.matrix.tolist()
        ]

    def _contributions(self) -> list[dict[str, dict[str, float]]]:
        """Of each row: behaviour -> feature or part -> what it says."""
        shapley = self.fusion.contributions(self.matrix)
        names = (*self.fusion.names, BASE)
        return [
            {
                behaviour: dict(zip(names, each[row].tolist(), strict=True))
                | {part: float(said[behaviour][row]) for part, said in self.parts.items() if part != FUSION}
                for behaviour, each in shapley.items()
            }
            for row in range(len(self))
        ]

    @property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(-self.scores, kind="stable").astype(np.int64)

    def _sorted(self) -> Standing:
        return self.take(self._order)


def _sum(one: Margins, other: Margins) -> dict[str, Doubles]:
    return {name: each + other[name] for name, each in one.items()}
