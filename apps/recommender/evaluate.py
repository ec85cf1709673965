"""Evaluate: every part of the ranking and the whole of it on the same lists, with paired intervals and the protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender import gate, leaks, metrics
from apps.recommender.candidates import Candidates, Floats
from apps.recommender.events import Events, History
from apps.recommender.intervals import Interval, bootstrap
from apps.recommender.items import Items
from apps.recommender.metrics import Bin, Ranking
from apps.recommender.splits import Protocol
from engine.errors import InputError

if TYPE_CHECKING:
    from apps.recommender.features import Features

K = 10
Score = Callable[[Candidates], NDArray[np.floating]]
"""Scores of the rows of lists, from what may be known of them: never from their gains."""
DAY = np.timedelta64(1, "D")
SLICES: dict[str, tuple[tuple[str, float], ...]] = {
    "events of the user learnt from": (("none", 1), ("1 to 4", 5), ("5 to 19", 20), ("20 and more", math.inf)),
    "users who took the item before": (("5 and fewer", 6), ("6 to 50", 51), ("over 50", math.inf)),
    "age of the item": (("under a day", 1), ("1 to 7 days", 7), ("7 to 30 days", 30), ("over 30 days", math.inf)),
}
"""Of what -> name and upper bound, not within, of each slice."""
MEANING = {
    "ndcg": "nDCG of the first {k}",
    "mrr": "one over the place of the first wanted item",
    "recall": "share of the wanted items among the first {k}",
    "auc": "share of the pairs of a list in the right order, ties wrong",
    "novelty": "bits of surprise of the first {k}: how few took them before",
    "popularity_bias": "percentiles that the first {k} are more popular than the user's past",
    "diversity": "mean distance (1 - cosine) of the first {k} from one another",
}


@dataclass(frozen=True)
class Known:
    """What was known when the lists were shown.

    Attributes:
        events: those learnt from.
        whole: with times, all events: what was before a list may be in its history, learnt from or not.
        vectors: of the items in the catalogue's order, unit length, for the diversity; None: it is not measured.
    """

    events: Events
    items: Items
    whole: Events | None = None
    vectors: NDArray[np.floating] | None = None

    @cached_property
    def users_of(self) -> dict[str, int]:
        """How many users took each item of the catalogue."""
        frame = self.events.frame
        counts = frame.drop_duplicates(["user_id", "item_id"])["item_id"].value_counts()
        return {item: int(counts.get(item, 0)) for item in self.items.ids}

    @cached_property
    def users(self) -> int:
        return int(self.events.frame["user_id"].nunique())

    def activity(self, user_ids: NDArray[Any]) -> Floats:
        """Events of each user, shape (lists,)."""
        counts = self.events.frame["user_id"].value_counts()
        found: Floats = counts.reindex(user_ids).fillna(0).to_numpy().astype(np.float64)
        return found

    def usual(self, user_ids: NDArray[Any]) -> Floats:
        """Mean popularity (percentile) of what each user took, NaN for a new one; shape (lists,)."""
        popular = self.events.frame["item_id"].map(metrics.percentiles(self.users_of)).astype(np.float64)
        means = popular.groupby(self.events.frame["user_id"].to_numpy()).mean()
        found: Floats = means.reindex(user_ids).to_numpy().astype(np.float64)
        return found


@dataclass(frozen=True)
class Slice:
    """Some of the lists: nDCG of each part there."""

    of: str
    name: str
    lists: int
    figures: Mapping[str, Interval]


@dataclass(frozen=True)
class Evaluation:
    """What came out, part by part.

    Attributes:
        main: the part that the others are held against.
        figures: part -> figure -> value and interval.
        gains: other part -> nDCG of the main part less its own, paired.
        coverage: part -> share of the catalogue among the first k of all lists.
        reliability: of the probabilities, if there were any.
    """

    protocol: Protocol
    k: int
    main: str
    figures: Mapping[str, Mapping[str, Interval]]
    gains: Mapping[str, Interval]
    coverage: Mapping[str, float]
    slices: Sequence[Slice]
    reliability: Sequence[Bin] = ()
    calibration_error: float | None = None

    def document(self) -> dict[str, Any]:
        """One JSON document; what has no value is null."""
        whole = {**asdict(self), "protocol": dict(self.protocol.rows())}
        found: dict[str, Any] = _plain(whole)
        return found

    def meaning(self, figure: str) -> str:
        return MEANING[figure].format(k=self.k)


def evaluate(
    parts: Mapping[str, Score | NDArray[np.floating]],
    candidates: Candidates,
    protocol: Protocol,
    known: Known,
    *,
    main: str,
    k: int = K,
    probabilities: NDArray[np.floating] | None = None,
    histories: Sequence[History] | None = None,
    features: Features | None = None,
) -> Evaluation:
    """The figures of each part on the same lists.

    Args:
        parts: name -> its scores, or what gives them; from the weakest to the whole.
        protocol: as the split gave it and `measured` completed it.
        main: the part that the others are held against.
        probabilities: of each candidate being wanted, if the calibration is to be measured.
        histories: what the parts were given, a history a list, for the leak gate.
        features: of the recommender whose parts they are, for the leak gate.

    Raises:
        InputError: there are no lists, or a part's scores are none.
        LeakError: a candidate, a history, a feature or what was learnt from comes from the future.
    """
    if main not in parts:
        raise InputError(f"no part '{main}' to hold the others against; there are: {', '.join(parts)}")
    if not candidates.wanted.any():
        raise InputError("nothing was wanted in any list, so there is nothing to measure; give lists with a target")
    leaks.refuse(_leaks(candidates, known, histories, features))
    scores = {name: np.asarray(part(candidates) if callable(part) else part) for name, part in parts.items()}
    rankings = {name: Ranking.of(candidates, values) for name, values in scores.items()}
    usual = known.usual(candidates.user_ids)
    values = {name: _values(ranking, known, usual, k) for name, ranking in rankings.items()}
    columns = {("figure", name, figure): column for name, own in values.items() for figure, column in own.items()}
    for name in parts:
        columns["gain", name, "ndcg"] = values[main]["ndcg"] - values[name]["ndcg"]
    slices = list(_slices(candidates, known))
    for number, (_, _, mask) in enumerate(slices):
        for name in parts:
            columns["slice", name, str(number)] = np.where(mask, values[name]["ndcg"], np.nan)
    keys = {"\t".join(key): key for key in columns}
    intervals = bootstrap({text: columns[key] for text, key in keys.items()}, candidates.user_ids)
    of = {key: intervals[text] for text, key in keys.items()}
    outcomes = candidates.gains > 0
    return Evaluation(
        protocol,
        k,
        main,
        {name: {figure: of["figure", name, figure] for figure in own} for name, own in values.items()},
        {name: of["gain", name, "ndcg"] for name in parts if name != main},
        {name: metrics.coverage(ranking, k, len(known.items)) for name, ranking in rankings.items()},
        [
            Slice(group, name, int(mask.sum()), {part: of["slice", part, str(number)] for part in parts})
            for number, (group, name, mask) in enumerate(slices)
        ],
        () if probabilities is None else metrics.reliability(probabilities, outcomes),
        None if probabilities is None else metrics.calibration_error(probabilities, outcomes),
    )


def _leaks(
    candidates: Candidates, known: Known, histories: Sequence[History] | None, features: Features | None
) -> list[leaks.Leak]:
    found = leaks.in_candidates(candidates, known.items)
    if candidates.as_of is not None and known.events.timed:
        first = candidates.as_of.min().astype("datetime64[us]").item().replace(tzinfo=UTC)
        found += leaks.stamped({"events learnt from": known.events.frame["datetime"].max().to_pydatetime()}, first)
    if histories is not None:
        found += leaks.in_histories(candidates, histories, known.whole or known.events)
    if features is not None:
        found += gate.asked(features, candidates, known.events, known.whole)
    return found


def _values(ranking: Ranking, known: Known, usual: Floats, k: int) -> dict[str, Floats]:
    """Figure -> its value a list."""
    found = {"ndcg": ranking.ndcg(k), "mrr": ranking.mrr(), "recall": ranking.recall(k), "auc": ranking.auc()}
    found["novelty"] = metrics.novelty(ranking, k, known.users_of, known.users)
    found["popularity_bias"] = metrics.popularity_bias(ranking, k, known.users_of, usual)
    if known.vectors is not None:
        places = known.items.numbers(ranking.candidates.item_ids)
        found["diversity"] = metrics.diversity(ranking, k, known.vectors, places)
    return found


def _slices(candidates: Candidates, known: Known) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """(of what, name, which lists); a list of several wanted items is placed by the newest, or rarest, of them."""
    activity, taken, age = SLICES
    users_of = np.array([known.users_of.get(item, 0) for item in candidates.item_ids], dtype=np.float64)
    measured = {activity: known.activity(candidates.user_ids), taken: _least(candidates, users_of)}
    if candidates.as_of is not None and "published" in known.items.frame:
        published = known.items.frame["published"].reindex(candidates.item_ids)
        days = (candidates.as_of[candidates.lists] - published.dt.tz_convert(None).to_numpy("datetime64[us]")) / DAY
        measured[age] = _least(candidates, days)
    for group, values in measured.items():
        low = -math.inf
        for name, high in SLICES[group]:
            mask = (values >= low) & (values < high) & (candidates.wanted > 0)
            if mask.any():
                yield group, name, mask
            low = high


def _least(candidates: Candidates, values: Floats) -> Floats:
    """The least value of what was wanted in each list, NaN where it has none."""
    rows = np.flatnonzero((candidates.gains > 0) & ~np.isnan(values))
    found = np.full(len(candidates), np.inf)
    np.minimum.at(found, candidates.lists[rows], values[rows])
    return np.where(np.isinf(found), np.nan, found)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return None if math.isnan(value) else round(float(value), 6)
    return int(value) if isinstance(value, np.integer) else value
