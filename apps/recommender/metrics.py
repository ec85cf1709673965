"""Metrics: how good lists are, a value a list, so that figures can be compared user by user.

Ties count against us: among equal scores what was wanted takes the worst place, so a model that gives every candidate
the same score earns nothing by the order in which they came. Lists in which nothing was wanted have no value (NaN).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recommender.candidates import Candidates, Floats, Numbers
from engine.errors import InputError

BINS = 15
"""Of equal width, for the calibration error."""
BLOCK = 1024
"""Lists whose item vectors are in memory at a time."""
TIES = "a wanted item takes the worst place among equal scores"


@dataclass(frozen=True)
class Ranking:
    """Candidates in the order of their scores.

    Attributes:
        order: row numbers, list by list, the best first, shape (rows,).
        places: of each row in its list, from 0, shape (rows,).
    """

    candidates: Candidates
    order: Numbers
    places: Numbers

    @classmethod
    def of(cls, candidates: Candidates, scores: NDArray[np.floating]) -> Ranking:
        """Rank by scores, shape (rows,).

        Raises:
            InputError: a score is missing, or is no number.
        """
        if scores.shape != candidates.gains.shape:
            raise InputError(f"{scores.shape} scores for {len(candidates.gains)} candidates; give one a candidate")
        if (bad := np.isnan(scores)).any():
            row = int(bad.argmax())
            user = candidates.user_ids[candidates.lists[row]]
            raise InputError(
                f"{int(bad.sum())} scores are no numbers, the first that of user {user} and item "
                f"{candidates.item_ids[row]}; a candidate that cannot be scored needs a score that says so"
            )
        order = np.lexsort((candidates.gains, -scores, candidates.lists)).astype(np.int64)
        places = np.empty_like(order)
        places[order] = np.arange(len(order)) - candidates.offsets[candidates.lists[order]]
        return cls(candidates, order, places)

    def ndcg(self, k: int) -> Floats:
        """Normalised discounted cumulative gain of the first k (Järvelin & Kekäläinen 2002), gains as they are."""
        lists, gains = self.candidates.lists, self.candidates.gains
        ideal = np.empty_like(self.places)
        best = np.lexsort((-gains, lists))
        ideal[best] = np.arange(len(best)) - self.candidates.offsets[lists[best]]
        found, most = (self._sum(gains * discount(places, k)) for places in (self.places, ideal))
        return _share(found, most)

    def mrr(self) -> Floats:
        """One over the place of the first that was wanted."""
        wanted = self.candidates.gains > 0
        first = np.full(len(self.candidates), np.inf)
        np.minimum.at(first, self.candidates.lists[wanted], self.places[wanted] + 1.0)
        return np.where(np.isinf(first), np.nan, 1 / first)

    def recall(self, k: int) -> Floats:
        """Share of what was wanted that is among the first k."""
        return _share(self._sum((self.candidates.gains > 0) & (self.places < k)), self.candidates.wanted)

    def auc(self) -> Floats:
        """Share of the pairs (wanted, not wanted) of a list in the right order; NaN where all are of one kind."""
        candidates = self.candidates
        wanted = candidates.gains[self.order] > 0
        lists = candidates.lists[self.order]
        before = np.concatenate([[0], np.cumsum(wanted)])[:-1]  # wanted, in the rows before this one
        start = np.concatenate([[0], np.cumsum(candidates.wanted)])[:-1]
        unwanted_above = self.places[self.order] - (before - start[lists])
        wrong = np.bincount(lists, weights=unwanted_above * wanted, minlength=len(candidates))
        pairs = candidates.wanted * (np.diff(candidates.offsets) - candidates.wanted)
        return 1 - _share(wrong, pairs)

    def shown(self, k: int) -> Numbers:
        """Row numbers of the first k of each list, list by list, the best first."""
        return self.order[self.places[self.order] < k]

    def _sum(self, values: NDArray[np.floating] | NDArray[np.bool_]) -> Floats:
        found: Floats = np.bincount(self.candidates.lists, values, len(self.candidates)).astype(np.float64)
        return found


def discount(places: Numbers, k: int) -> Floats:
    """What a gain counts at a place (from 0), 0 from k on."""
    return np.where(places < k, 1 / np.log2(places + 2.0), 0.0)


def coverage(ranking: Ranking, k: int, items: int) -> float:
    """Share of the catalogue's items that stand among the first k of some list."""
    return len(set(ranking.candidates.item_ids[ranking.shown(k)])) / items


def novelty(ranking: Ranking, k: int, users_of: Mapping[str, int], users: int) -> Floats:
    """Mean surprise of the first k in bits: -log2 of the share of users who took the item (Vargas & Castells 2011).

    Args:
        users_of: how many users took an item before; one is added to each and to `users`, so that new items count too.
    """
    counts = _looked_up(ranking, k, users_of, 0.0)
    return _mean_of(ranking, k, -np.log2((counts + 1) / (users + 1)))


def popularity_bias(ranking: Ranking, k: int, users_of: Mapping[str, int], usual: Floats) -> Floats:
    """How much more popular the first k are than what the user took before (the idea of Abdollahpouri et al. 2019).

    Popularity is the item's percentile among the items of `users_of`, 0 to 1, so the value lies between -1 and 1.

    Args:
        usual: mean percentile of what each list's user took, shape (lists,); NaN where that is nothing.
    """
    return _mean_of(ranking, k, _looked_up(ranking, k, percentiles(users_of), 0.0)) - usual


def percentiles(users_of: Mapping[str, int]) -> dict[str, float]:
    """Item -> share of the items that fewer users took, equal ones counted half."""
    counts = np.fromiter(users_of.values(), dtype=np.int64, count=len(users_of))
    ranked = np.sort(counts)
    below, upto = np.searchsorted(ranked, counts, "left"), np.searchsorted(ranked, counts, "right")
    return dict(zip(users_of, ((below + upto) / 2 / max(1, len(counts))).tolist(), strict=True))


def diversity(ranking: Ranking, k: int, vectors: NDArray[np.floating], places: NDArray[np.integer]) -> Floats:
    """Mean of 1 - cosine over the pairs among the first k (Ziegler et al. 2005); NaN where there is but one.

    Args:
        vectors: of items, unit length, shape (items, width).
        places: the item of each candidate row, shape (rows,).

    Raises:
        InputError: a candidate is no item.
    """
    if len(unknown := np.flatnonzero(places < 0)):
        raise InputError(f"candidate {ranking.candidates.item_ids[unknown[0]]} is not in the catalogue; add it first")
    shown = ranking.shown(k)
    lists = ranking.candidates.lists[shown]
    found = np.full(len(ranking.candidates), np.nan)
    for start in range(0, len(found), BLOCK):
        low, high = np.searchsorted(lists, [start, start + BLOCK])
        here, starts, counts = np.unique(lists[low:high], return_index=True, return_counts=True)
        if not len(here):
            continue
        # Of n unit vectors with the sum s, the cosines of all ordered pairs add up to |s|^2 - n.
        sums = np.add.reduceat(vectors[places[shown[low:high]]].astype(np.float64), starts, axis=0)
        cosines = np.einsum("nw,nw->n", sums, sums) - counts
        found[here] = 1 - _share(cosines, counts * (counts - 1))
    return found


@dataclass(frozen=True)
class Bin:
    """Predictions of like probability: how many, what they said on average, and how often it came true."""

    count: int
    said: float
    true: float


def reliability(probabilities: NDArray[np.floating], outcomes: NDArray[np.generic]) -> list[Bin]:
    """The bins, of equal width, that hold something; rising.

    Raises:
        InputError: a probability is outside 0 to 1.
    """
    said, true = np.asarray(probabilities, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    if not ((said >= 0) & (said <= 1)).all():
        raise InputError("a probability is outside 0 to 1; calibrate scores before their calibration is measured")
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    counts, saids, trues = (np.bincount(place, weights=one, minlength=BINS) for one in (np.ones_like(said), said, true))
    return [Bin(int(n), s / n, t / n) for n, s, t in zip(counts, saids, trues, strict=True) if n]


def calibration_error(probabilities: NDArray[np.floating], outcomes: NDArray[np.generic]) -> float:
    """Expected calibration error: mean over predictions of |share that came true - probability| of their bin."""
    bins = reliability(probabilities, outcomes)
    return sum(one.count * abs(one.said - one.true) for one in bins) / max(1, sum(one.count for one in bins))


def _looked_up(ranking: Ranking, k: int, table: Mapping[str, float], missing: float) -> Floats:
    return np.array([table.get(item, missing) for item in ranking.candidates.item_ids[ranking.shown(k)]], np.float64)


def _mean_of(ranking: Ranking, k: int, values: Floats) -> Floats:
    """Mean over each list's first k of values in the order of `shown`."""
    lists = ranking.candidates.lists[ranking.shown(k)]
    count = len(ranking.candidates)
    return _share(np.bincount(lists, weights=values, minlength=count), np.bincount(lists, minlength=count))


def _share(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Floats:
    """part / whole, NaN where the whole is 0."""
    out = np.full(len(whole), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) != 0)
    return out
