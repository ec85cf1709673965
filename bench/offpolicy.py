"""Off-policy estimates on a simulated shop whose truth is known: how often their 95% intervals hold it.

A draw is the last week of some users of one large shop, no user in two draws: the shop's items and its logging policy
stay, who comes is by chance. The target policy weighs what was popular otherwise, and likes what costs less. The model
of the reward that the doubly robust estimate needs is learnt of the weeks before: clicks of each item and position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender import exploration
from apps.recommender.offpolicy import Log, estimates
from apps.recommender.simulate import Simulation, simulate
from apps.recommender.world import World
from bench.contract import Figures
from engine import Progress

DRAWS, USERS = 100, 400
WEEKS = 3
POPULARITY, CHEAP = 0.9, 0.3
"""Weights of the target policy: of log(1 + recent clicks), which the logging policy weighs by 0.7, and of cheapness."""
REPEATS = 20
"""Lists that the target policy draws for each of the shop's, to know its worth."""
SMOOTH = 20.0
"""Exposures at the usual rate that an item's own are mixed with."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Week:
    """The last week of a shop: a row of `candidates` a list, and what both policies think of them.

    Attributes:
        candidates: numbers of the items, shape (lists, candidates).
        shown: places among the candidates, shape (lists, shown).
        target: logits of the target policy, shape (lists, candidates).
        model: clicks that an item earns where everybody looks, as learnt before, shape (items,).
        looks: of each position, shape (shown,).
    """

    shop: Simulation
    lists: pd.DataFrame
    candidates: NDArray[np.int64]
    shown: NDArray[np.int64]
    propensity: Floats
    reward: Floats
    target: Floats
    model: Floats
    looks: Floats

    @classmethod
    def of(cls, shop: Simulation) -> Week:
        truth, world = shop.truth, shop.truth.world
        begins = pd.Timestamp(world.start) + pd.Timedelta(weeks=world.weeks - 1)
        number = {item: at for at, item in enumerate(truth.item_ids)}
        clicks = shop.events[shop.events["event"] == "click"]
        weeks = ((clicks["datetime"] - pd.Timestamp(world.start)).dt.days // 7).to_numpy()
        taken = clicks["item_id"].map(number).to_numpy()
        popularity = np.zeros(len(number))
        for week in range(world.weeks - 1):
            popularity = popularity / 2 + np.bincount(taken[weeks == week], minlength=len(number))
        lists = shop.lists[shop.lists["datetime"] >= begins].reset_index(drop=True)
        candidates = np.array([[number[item] for item in row] for row in lists["candidates"]])
        exposed = shop.exposures.assign(item=shop.exposures["item_id"].map(number))
        clicked = pd.MultiIndex.from_frame(clicks[["list_id", "item_id"]])
        exposed["reward"] = pd.MultiIndex.from_frame(exposed[["list_id", "item_id"]]).isin(clicked).astype(float)
        before, now = exposed[exposed["datetime"] < begins], exposed[exposed["datetime"] >= begins]
        size = (len(lists), world.shown)
        items = now["item"].to_numpy().reshape(size)
        model, looks = _model(before, len(number))
        return cls(
            shop,
            lists,
            candidates,
            (candidates[:, None, :] == items[:, :, None]).argmax(axis=2),
            now["propensity"].to_numpy().reshape(size),
            now["reward"].to_numpy().reshape(size),
            (POPULARITY * np.log1p(popularity) - CHEAP * truth.log_price)[candidates],
            model,
            looks,
        )

    def log(self) -> pd.DataFrame:
        """A row a choice, as `offpolicy.Log` wants it."""
        rows = np.arange(len(self.lists))[:, None]
        worth = self.model[self.candidates]
        logits, left = self.target, np.ones_like(self.target, bool)
        expected = np.empty(self.shown.shape)
        for place in range(self.shown.shape[1]):
            chances = np.where(left, np.exp(logits - logits.max(axis=1, keepdims=True)), 0.0)
            expected[:, place] = (chances * worth).sum(axis=1) / chances.sum(axis=1)
            np.put_along_axis(left, self.shown[:, [place]], False, axis=1)
        target = [exploration.propensities(*one, temperature=1.0) for one in zip(logits, self.shown, strict=True)]
        places = np.broadcast_to(np.arange(1, self.shown.shape[1] + 1), self.shown.shape)
        columns = {
            "position": places,
            "propensity": self.propensity,
            "target": np.array(target),
            "reward": self.reward,
            "predicted": worth[rows, self.shown] * self.looks,
            "expected": expected * self.looks,
        }
        frame = self.lists[["list_id", "user_id"]].loc[np.repeat(np.arange(len(self.lists)), places.shape[1])]
        return frame.assign(**{name: values.ravel() for name, values in columns.items()})

    def worth(self) -> float:
        """Clicks of a list under the target policy, by the truth: the mean over lists that it draws."""
        random = np.random.default_rng(0)
        item_ids = np.array(self.shop.truth.item_ids, object)
        found = []
        for _ in range(REPEATS):
            places, _ = exploration.draw(self.target, self.shown.shape[1], random)
            drawn = self.lists.loc[np.repeat(np.arange(len(self.lists)), places.shape[1])].reset_index(drop=True)
            drawn["item_id"] = item_ids[np.take_along_axis(self.candidates, places, axis=1).ravel()]
            drawn["position"] = np.tile(np.arange(1, places.shape[1] + 1), len(self.lists))
            found.append(self.shop.truth.expected_reward(drawn))
        return float(np.mean(found))


def run(*, seeds: int) -> Figures:
    """`coverage_*`: the share of draws whose interval holds the worth; `width_*`: of the intervals, as shares of it;
    `bias_*`: of the estimates' mean, likewise."""
    found: dict[str, list[float]] = {}
    for seed in range(13, 13 + seeds):
        with Progress() as progress:
            progress.stage(f"a shop of {DRAWS * USERS:,} users, seed {seed}")
            shop = simulate(World(users=DRAWS * USERS, weeks=WEEKS, lists=1.0, seed=seed))
            progress.stage("the worth of the target policy")
            week = Week.of(shop)
            worth, log = week.worth(), week.log()
            progress.stage(f"{DRAWS} draws")
            for name, value in covered(log, worth).items():
                found.setdefault(name, []).append(value)
    figures = {name: float(np.mean(values)) for name, values in found.items()}
    return Figures(figures, {}, {"seeds": seeds, "draws": DRAWS, "users_a_draw": USERS, "worth": worth})


def covered(log: pd.DataFrame, worth: float) -> dict[str, float]:
    """The figures of one shop: its users are dealt out to the draws."""
    users = log["user_id"].str[1:].astype(int).to_numpy() % DRAWS
    told = [estimates(Log(log[users == draw].reset_index(drop=True), chained=True)) for draw in range(DRAWS)]
    found = {}
    for name in told[0]:
        each = [one[name] for one in told]
        found[f"coverage_{name}"] = float(np.mean([one.low <= worth <= one.high for one in each]))
        found[f"width_{name}"] = float(np.mean([one.high - one.low for one in each])) / worth
        found[f"bias_{name}"] = float(np.mean([one.value for one in each])) / worth - 1
    found["effective_share"] = float(np.mean([one["ips"].effective / one["ips"].lists for one in told]))
    return found


def _model(exposed: pd.DataFrame, items: int) -> tuple[Floats, Floats]:
    """Clicks by item where everybody looks, and the share that looks at each position, from exposures."""
    looks = exposed.groupby("position")["reward"].mean().to_numpy()
    looks = looks / looks[0]
    seen = looks[exposed["position"].to_numpy() - 1]
    taken = np.bincount(exposed["item"], exposed["reward"], items)
    chance = np.bincount(exposed["item"], seen, items)
    usual = taken.sum() / chance.sum()
    return (taken + SMOOTH * usual) / (chance + SMOOTH), looks
