"""The truth of a simulated shop: who likes what, when, and how probable each event is; formulas in data/README.md.

Nothing but the simulator, tests and benchmarks may read this: a ranker sees texts and events, never meanings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender.world import END, World
from engine.errors import InputError

EVENTS = ("view", "click", "comment", "share", "purchase")
CLICKS: Mapping[str, float] = {"click": 1.0}
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """What no ranker sees.

    Attributes:
        items: item_id, category, price, published, in the catalogue's order.
        meanings: items x themes, each row of length 1.
        tastes: users x weeks x themes, float32, each row of sum 1.
        sensitivity: users; to price.
        activity: users; mean number of lists a week.
        joined: users; the week of their first list.
        quality: items.
    """

    world: World
    themes: tuple[str, ...]
    items: pd.DataFrame
    meanings: Floats
    tastes: NDArray[np.float32]
    sensitivity: Floats
    activity: Floats
    joined: Ints
    quality: Floats

    @classmethod
    def of(cls, world: World, catalog: Path | None = None) -> Truth:
        """The truth of a world, over the items and meanings in a folder; by default Keel's own data/catalog.

        Raises:
            InputError: the folder lacks a file, an item has no meaning, or none but one of them names it.
        """
        items, themes, meanings, kinds = _catalogue(catalog or _packaged())
        users = np.random.default_rng([world.seed, 0])
        logits = np.empty((world.weeks, world.users, len(kinds)))
        logits[0] = users.normal(0.0, world.spread, logits[0].shape)
        fresh = float(np.sqrt(1 - world.persistence**2)) * world.spread
        for week in range(1, world.weeks):
            logits[week] = world.persistence * logits[week - 1] + users.normal(0.0, fresh, logits[0].shape)
        own = users.normal(0.0, world.own, (world.users, len(themes)))
        tastes = _softmax(logits) @ kinds * np.exp(own)
        tastes /= tastes.sum(axis=2, keepdims=True)
        late = users.random(world.users) < 0.25
        joined = np.where(late, users.integers(0, world.weeks, world.users), 0)
        return cls(
            world,
            themes,
            items,
            meanings,
            np.ascontiguousarray(tastes.transpose(1, 0, 2), dtype=np.float32),
            sensitivity=world.price * np.exp(users.normal(0.0, 0.5, world.users)),
            activity=world.lists * np.exp(users.normal(0.0, 0.6, world.users)),
            joined=joined.astype(np.int64),
            quality=np.random.default_rng([world.seed, 1]).normal(0.0, world.quality, len(items)),
        )

    @cached_property
    def user_ids(self) -> list[str]:
        width = max(4, len(str(self.world.users)))
        return [f"u{number:0{width}d}" for number in range(1, self.world.users + 1)]

    @cached_property
    def item_ids(self) -> list[str]:
        return list(self.items["item_id"])

    @cached_property
    def published(self) -> Floats:
        """Seconds since 1970."""
        return _seconds(self.items["published"])

    @cached_property
    def log_price(self) -> Floats:
        """Of the price over the median of the item's category."""
        price = self.items["price"]
        return np.log(np.asarray(price / price.groupby(self.items["category"]).transform("median"), np.float64))

    def affinity(self, users: Ints, weeks: Ints) -> Floats:
        """How near each item's meaning is to what users care for in a week, users x items: the cosine, standardised
        over all users and items of week 0."""
        mean, deviation = self._scale
        scaled: Floats = (self._cosine(users, weeks) - mean) / deviation
        return scaled

    def probability(
        self, user_id: str, item_id: str, time: datetime, event: str, *, position: int | None = None
    ) -> float:
        """That an item shown then leads to the event: given that the user looks at it, or at a position (from 1).

        Raises:
            InputError: as `probabilities`.
        """
        at = None if position is None else [position]
        return float(self.probabilities([user_id], [item_id], [time], event, positions=at)[0])

    def probabilities(
        self,
        user_ids: Sequence[str],
        item_ids: Sequence[str],
        times: Sequence[datetime] | pd.Series[Any],
        event: str,
        *,
        positions: Sequence[int] | NDArray[Any] | None = None,
    ) -> Floats:
        """`probability` of each row of four equally long columns.

        Raises:
            InputError: a user, item, event or time that this world does not have.
        """
        users, items = _index(self._users, user_ids, "user"), _index(self._items, item_ids, "item")
        when = _seconds(times)
        if event not in EVENTS:
            raise InputError(f"event {event!r}: it is one of {', '.join(EVENTS)}")
        found = self._given_seen(users, items, when, self.week(when))[event]
        return found if positions is None else found * self.seen(positions)

    def seen(self, positions: Sequence[int] | NDArray[Any]) -> Floats:
        """The probability that a user looks at what stands at each position, counted from 1."""
        return np.asarray(positions, np.float64) ** -self.world.attention

    def oracle(
        self, user_id: str, candidates: Sequence[str], time: datetime, values: Mapping[str, float] = CLICKS
    ) -> list[str]:
        """The candidates as whoever knows the truth ranks them: by expected value, ties by their order."""
        worth = self.worth([user_id] * len(candidates), candidates, [time] * len(candidates), values)
        return [candidates[place] for place in np.argsort(-worth, kind="stable")]

    def worth(
        self,
        user_ids: Sequence[str],
        item_ids: Sequence[str],
        times: Sequence[datetime] | pd.Series[Any],
        values: Mapping[str, float] = CLICKS,
    ) -> Floats:
        """Expected value of each row, given that the user looks at it: the sum over events of value x probability."""
        chances = (value * self.probabilities(user_ids, item_ids, times, event) for event, value in values.items())
        worth: Floats = np.sum(list(chances), axis=0)
        return worth

    def expected_reward(self, shown: pd.DataFrame, values: Mapping[str, float] = CLICKS) -> float:
        """Expected value of a list, the mean over the lists of a policy.

        Args:
            shown: list_id, user_id, item_id, datetime, position, and where the policy draws its lists `share`, the
                probability that it puts this item there (1 where there is no such column). Drawn lists serve as well.
            values: of each event.
        """
        worth = self.worth(list(shown["user_id"]), list(shown["item_id"]), shown["datetime"], values)
        worth = worth * self.seen(shown["position"].to_numpy())
        if "share" in shown:
            worth = worth * shown["share"].to_numpy(np.float64)
        return float(worth.sum() / shown["list_id"].nunique())

    def week(self, seconds: Floats) -> Ints:
        """The week of each moment, counted from 0.

        Raises:
            InputError: a moment before the start or after the end.
        """
        weeks = np.floor((seconds - self.world.start.timestamp()) / timedelta(weeks=1).total_seconds()).astype(np.int64)
        if len(weeks) and not 0 <= weeks.min() <= weeks.max() < self.world.weeks:
            raise InputError(f"a time outside this world, which runs from {self.world.start:%F} to {END:%F}")
        return weeks

    def utility(self, affinity: Floats, users: Ints, items: Ints, when: Floats) -> Floats:
        """Logit of a click less its intercept; the affinities are those of the same rows."""
        world = self.world
        days = np.maximum(when - self.published[items], 0.0) / timedelta(days=1).total_seconds()
        liked = world.affinity * affinity + self.quality[items] + world.freshness * np.exp(-days / 30)
        felt: Floats = liked - self.sensitivity[users] * self.log_price[items]
        return felt

    def after(self, utility: Floats, event: str) -> Floats:
        """P(click | seen), or the probability of another event given a click."""
        intercept, slope = (self.world.click, 1.0) if event == "click" else self.world.chain[event]
        return 1 / (1 + np.exp(-(intercept + slope * utility)))

    @cached_property
    def _scale(self) -> tuple[float, float]:
        # The first 2,000 users stand for all: more would change neither figure by a hundredth.
        some = np.arange(min(self.world.users, 2000))
        cosine = self._cosine(some, np.zeros_like(some))
        return float(cosine.mean()), float(cosine.std())

    @cached_property
    def _users(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.user_ids)}

    @cached_property
    def _items(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.item_ids)}

    def _cosine(self, users: Ints, weeks: Ints) -> Floats:
        tastes = self.tastes[users, weeks].astype(np.float64)
        near: Floats = (tastes / np.linalg.norm(tastes, axis=1, keepdims=True)) @ self.meanings.T
        return near

    def _given_seen(self, users: Ints, items: Ints, when: Floats, weeks: Ints) -> dict[str, Floats]:
        mean, deviation = self._scale
        tastes = self.tastes[users, weeks].astype(np.float64)
        cosine = (tastes * self.meanings[items]).sum(axis=1) / np.linalg.norm(tastes, axis=1)
        utility = self.utility((cosine - mean) / deviation, users, items, when)
        click = self.after(utility, "click")
        later = {event: click * self.after(utility, event) for event in self.world.chain}
        return {"view": np.ones_like(click), "click": click, **later}


def _catalogue(folder: Path) -> tuple[pd.DataFrame, tuple[str, ...], Floats, Floats]:
    rows = {}
    for name in ("items", "meanings", "tastes"):
        path = folder / f"{name}.jsonl"
        if not path.is_file():
            raise InputError(f"{path}: no such file; a simulated catalogue has items, meanings and tastes.jsonl")
        rows[name] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    weights = {row["item_id"]: row["meaning"] for row in rows["meanings"]}
    if odd := sorted({row["item_id"] for row in rows["items"]} ^ set(weights)):
        raise InputError(f"{folder}: {odd[0]} stands in one of items.jsonl and meanings.jsonl, not in both")
    themes = tuple(sorted({theme for meaning in weights.values() for theme in meaning}))
    meanings = _table([weights[row["item_id"]] for row in rows["items"]], themes)
    kinds = _table([row["meaning"] for row in rows["tastes"]], themes)
    items = pd.DataFrame(rows["items"])[["item_id", "category", "price", "published"]]
    items["published"] = pd.to_datetime(items["published"], utc=True)
    lengths = np.linalg.norm(meanings, axis=1, keepdims=True)
    return items, themes, meanings / lengths, kinds / kinds.sum(axis=1, keepdims=True)


def _table(meanings: list[dict[str, float]], themes: tuple[str, ...]) -> Floats:
    return np.array([[meaning.get(theme, 0.0) for theme in themes] for meaning in meanings], np.float64)


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    softened: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return softened


def _packaged() -> Path:
    from engine import packaged

    return packaged() / "data" / "catalog"


def _index(known: dict[str, int], names: Sequence[str], kind: str) -> Ints:
    try:
        return np.fromiter((known[name] for name in names), np.int64, len(names))
    except KeyError as fault:
        raise InputError(f"{kind} {fault.args[0]!r}: this world has no such {kind}") from None


def _seconds(times: Sequence[datetime] | pd.Series[Any]) -> Floats:
    moments = pd.DatetimeIndex(pd.to_datetime(times, utc=True))
    seconds: Floats = moments.as_unit("ns").asi8 / 1e9
    return seconds
