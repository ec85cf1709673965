"""Listing: the whole road of one request, from a user and candidates to the list that is shown.

history, candidates ─> features ─> boosters ─> cross-encoder ─> boosts ─> diversity ─> rules ─> exploration ─> list
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from apps.recommender import diversity, exploration, placing, rules
from apps.recommender.events import History
from apps.recommender.explanation import evidence
from apps.recommender.pace import Pace
from apps.recommender.past import Past
from apps.recommender.ranker import Recommender
from apps.recommender.rerank import Reranker
from apps.recommender.rules import Cap, Pin, Quota, Rule
from apps.recommender.settings import Settings
from apps.recommender.standing import Ranked, Standing
from engine.errors import InputError

SEGMENT, CROSS_ENCODER, EXPLORED = "segment", "cross-encoder", "explored"
REST = 0.002
"""Seconds that the road takes behind the cross-encoder, until it was measured."""


@dataclass(frozen=True)
class Wish:
    """What a request asks of its list.

    Attributes:
        k: items of the list; None: all candidates.
        values: of behaviours, instead of those that were trained with.
        diversity: from 0 to 1; method: "mmr" or "dpp"; most_loss: share of the discounted scores that it may cost.
        explore: temperature, in the unit of the scores, at which the list is drawn; 0: nothing is.
        seed: of the draw; None: one is drawn, and told.
        budget_ms: milliseconds of the request, of which the cross-encoder may use what is left; None: it is not asked.
        segment: of a user without a history, where the table of users does not tell it.
        explain: with contributions and evidence.
        as_of: moment of the request.
    """

    k: int | None = None
    values: Mapping[str, float] | None = None
    diversity: float = 0.0
    method: str = "mmr"
    most_loss: float = 0.05
    rules: Sequence[Rule] = ()
    explore: float = 0.0
    seed: int | None = None
    budget_ms: float | None = None
    segment: str | None = None
    explain: bool = False
    as_of: datetime | None = None

    @classmethod
    def of(cls, settings: Settings) -> Wish:
        """What the settings say of lists; a request may say otherwise (`dataclasses.replace`)."""
        own = settings.listing
        return cls(
            k=own.k,
            diversity=own.diversity,
            method=own.method,
            most_loss=own.most_loss,
            rules=rules.parse(own.rules),
            explore=own.explore,
            budget_ms=own.budget_ms,
        )


@dataclass(frozen=True)
class Listing:
    """A list and how it came about.

    Attributes:
        reranked: candidates that the cross-encoder read, from the top.
        took_ms: of the wall clock.
        seed: of the draw, if there was one.
    """

    rows: tuple[Ranked, ...]
    reranked: int
    took_ms: float
    seed: int | None = None


@dataclass(frozen=True)
class _Road:
    """What came of a request before its rows are told; `read`: when the cross-encoder had done."""

    standing: Standing
    reranked: int
    read: float
    seed: int | None


class Lister:
    """Makes lists; threads may share it."""

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender
        blend = recommender.blend
        self.reranker = Reranker.of(blend, recommender.items) if blend and blend.helps else None
        self._rest = {explained: Pace(REST) for explained in (False, True)}

    def ranked(self, user: str | History, candidates: Sequence[str], wish: Wish = Wish()) -> Listing:
        """The list for a user. A candidate given twice is ranked once.

        Args:
            user: an id, or a history; of a user nobody knows the history is empty.

        Raises:
            InputError: an item is not in the catalogue, the history lies in the future of `as_of`, a wish is out of its
                range, or the rules cannot all be met.
        """
        began = time.perf_counter()
        past = self.recommender.past(user, wish.as_of)
        road = self._road(user, past, candidates, wish, began)
        listed = self._rows(road.standing, past) if wish.explain else road.standing.rows()
        ended = time.perf_counter()
        self._rest[wish.explain].measured(ended - road.read)
        return Listing(listed, road.reranked, 1000 * (ended - began), road.seed)

    def explained(self, user: str | History, item_id: str, candidates: Sequence[str], wish: Wish = Wish()) -> Ranked:
        """The row of one item in the list that `ranked` makes, with its contributions and evidence.

        Raises:
            InputError: as `ranked`, or the item has no place in that list.
        """
        past = self.recommender.past(user, wish.as_of)
        standing = self._road(user, past, candidates, wish, time.perf_counter()).standing
        if item_id not in (listed := standing.item_ids.tolist()):
            raise InputError(
                f"item {item_id!r} is not in the list of {len(listed)}; its rules or its length put it out"
            )
        place = listed.index(item_id)
        return self._rows(standing.take(np.array([place])), past, first=place + 1)[0]

    def _rows(self, standing: Standing, past: Past, first: int = 1) -> tuple[Ranked, ...]:
        found = evidence(self.recommender, past, standing.numbers)
        return standing.rows(explain=True, evidence=found, first=first)

    def _road(self, user: str | History, past: Past, candidates: Sequence[str], wish: Wish, began: float) -> _Road:
        if wish.k is not None and wish.k < 1:
            raise InputError(f"k is {wish.k}; a list has at least 1 item")
        seed = None
        standing = self.recommender.standing(past, candidates, values=wish.values, as_of=wish.as_of)
        k = len(standing) if wish.k is None else wish.k
        if not len(past.items):
            standing = self._segmented(standing, user, wish)
        standing, reranked = self._reread(standing, past, wish, began)
        read = time.perf_counter()
        for rule, rows in rules.boosts(wish.rules, standing.item_ids.tolist(), self.recommender.items):
            standing = standing.boosted(str(rule), rows, rule.by)
        if wish.diversity:
            standing = self._diverse(standing, k, wish)
        if wish.explore:
            seed = secrets.randbits(32) if wish.seed is None else wish.seed
            standing = self._explored(standing, k, wish, seed)
        else:
            standing = self._placed(standing, k, wish.rules)
        return _Road(standing, reranked, read, seed)

    def _segmented(self, standing: Standing, user: str | History, wish: Wish) -> Standing:
        """For a user without a history, with what the users of their segment take more than others do."""
        segments = self.recommender.segments
        if segments is None:
            return standing
        name = wish.segment or (segments.of.get(user) if isinstance(user, str) else None)
        added = segments.added(name, standing.numbers)
        return standing if added is None else standing.told(SEGMENT, standing.at_odds(added))

    def _reread(self, standing: Standing, past: Past, wish: Wish, began: float) -> tuple[Standing, int]:
        """With what the cross-encoder says of the first candidates, and how many it read: as many as the budget, less
        what the rest of the road may take, has time for."""
        if self.reranker is None or wish.budget_ms is None:
            return standing, 0
        deadline = began + wish.budget_ms / 1000 - self._rest[wish.explain].safe
        logits = self.reranker.read(past, standing.numbers, deadline)
        return standing.told(CROSS_ENCODER, self.reranker.blend.added(standing.margins, logits)), len(logits)

    def _diverse(self, standing: Standing, k: int, wish: Wish) -> Standing:
        vectors = self.recommender.features.text.vectors[standing.numbers]
        found = diversity.diversify(
            standing.item_ids.tolist(),
            standing.scores,
            vectors,
            k,
            diversity=wish.diversity,
            max_loss=wish.most_loss,
            method=wish.method,
        )
        return standing.moved(found.order, {one.item_id: one.cause for one in found.receipts})

    def _placed(self, standing: Standing, k: int, wanted: Sequence[Rule]) -> Standing:
        item_ids = standing.item_ids.tolist()
        found = placing.place(wanted, item_ids, standing.scores, self.recommender.items, k)
        return standing.moved(found.order, {one.item_id: one.cause for one in found.receipts})

    def _explored(self, standing: Standing, k: int, wish: Wish, seed: int) -> Standing:
        """Drawn from all candidates that no rule excludes; where caps or quotas bind the list as a whole, from those of
        the list that meets them, so that every list that is drawn does, and the propensities are exact."""
        bound = any(isinstance(rule, Cap | Quota) for rule in wish.rules)
        placed = self._placed(standing, k if bound else len(standing), wish.rules)
        pinned = {rule.item_id for rule in wish.rules if isinstance(rule, Pin)}
        places = [place for place, item in enumerate(placed.item_ids.tolist()) if item in pinned]
        drawn = exploration.plackett_luce(placed.scores, k, temperature=wish.explore, seed=seed, pinned=places)
        found = placed.moved(drawn.order, dict.fromkeys(placed.item_ids.tolist(), EXPLORED))
        return replace(found, propensities=drawn.propensities)
