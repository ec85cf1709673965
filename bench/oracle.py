"""Simulated shops, whose truth is known: the fused ranking beside that of whoever knows it, and honest probabilities.

Each seed is a world of its own. What is learnt comes before the last week: what users did, and the lists as they were
shown.
In the last week every list's candidates are ranked, the shown ones and those that the shop left out; what is wanted is
drawn by the true probability of a click where the user looks. The probabilities are held against what really happened
in the lists of that week, at the places where things stood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender.ablation import FUSED, Ablation
from apps.recommender.candidates import Candidates
from apps.recommender.events import Events
from apps.recommender.exposures import Exposures
from apps.recommender.intervals import bootstrap
from apps.recommender.items import Items
from apps.recommender.metrics import Ranking, calibration_error
from apps.recommender.ranker import Recommender
from apps.recommender.settings import Settings
from apps.recommender.simulate import Simulation, simulate
from apps.recommender.training import Training
from apps.recommender.world import END, World
from bench.contract import Figures
from engine import Progress, packaged

FIRST_SEED, CUT = 13, 10
ORACLE, BEHAVIOUR = "oracle", "click"
LEARNT = {"step_share": 0.45, "booster": {"learning_rate": 0.05}, "values": {BEHAVIOUR: 1}}
"""A shop of 800 users has few lists: nearly half of them teach the booster. Chosen on a world of another seed (101)."""
WEEK = pd.Timestamp(END) - pd.Timedelta(weeks=1)


@dataclass(frozen=True)
class Judged:
    """One world.

    Attributes:
        users: of the lists, shape (lists,).
        values: part, or oracle -> nDCG, shape (lists,); NaN where nothing was wanted.
        said: probability of a click for each row of the lists that were shown; happened: whether there was one.
        seconds: of the training, by stage.
    """

    users: NDArray[np.object_]
    values: dict[str, NDArray[np.float64]]
    said: NDArray[np.float64]
    happened: NDArray[np.int8]
    seconds: dict[str, float]


def run(*, seeds: int) -> Figures:
    """The share of the oracle's nDCG, and the calibration error on the next week."""
    worlds = [judged(seed) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]
    values = {name: np.concatenate([one.values[name] for one in worlds]) for name in worlds[0].values}
    users = np.concatenate([[f"{number} {user}" for user in one.users] for number, one in enumerate(worlds)])
    usual = np.nanmean(values[ORACLE])  # a mean of the shares' numerators over this is the ratio of the means
    columns = {f"{name}_share" if name != FUSED else "ndcg_share": found / usual for name, found in values.items()}
    columns |= {f"gain_over_{name}": values[FUSED] - found for name, found in values.items()
                if name not in (FUSED, ORACLE)}  # fmt: skip
    told = bootstrap({name: column for name, column in columns.items() if name != f"{ORACLE}_share"}, users)
    errors = [calibration_error(one.said, one.happened) for one in worlds]
    figures = {name: one.value for name, one in told.items()}
    figures |= {"ece": float(np.mean(errors)), "ece_worst": max(errors), "ndcg10_oracle": float(usual)}
    figures["train_seconds"] = float(np.mean([sum(one.seconds.values()) for one in worlds]))
    worlds_told = [round(float(np.nanmean(one.values[FUSED]) / np.nanmean(one.values[ORACLE])), 4) for one in worlds]
    settings = {"worlds": seeds, "lists": len(users), "share_by_world": worlds_told, "wanted": "clicks drawn by truth"}
    return Figures(figures, {name: (one.low, one.high) for name, one in told.items()}, settings)


def judged(seed: int) -> Judged:
    """Learn from a world but its last week, and rank that."""
    world = simulate(World(seed=seed))
    items = Items.read(packaged() / "data" / "catalog" / "items.jsonl")
    done = world.events[world.events["event"] != "view"]
    events, seen = Events.of(done[done["datetime"] < WEEK]), world.exposures
    with Progress() as progress:
        training = Training.of(
            items,
            events,
            Settings.parse({**LEARNT, "seed": seed}),
            progress,
            Exposures.of(seen[seen["datetime"] < WEEK]),
        )
        recommender = Recommender.learnt(training)
        ablation = Ablation(training, recommender)
        lists, worth = wanted(world, seed)
        scores = {name: score(lists) for name, score in ablation.scores().items()}
    values = {name: Ranking.of(lists, found).ndcg(CUT) for name, found in {**scores, ORACLE: worth}.items()}
    later = Exposures.of(seen[seen["datetime"] >= WEEK])
    rows = pd.MultiIndex.from_arrays([np.repeat(world_lists(world)["list_id"], np.diff(lists.offsets)), lists.item_ids])
    at = rows.get_indexer(pd.MultiIndex.from_frame(later.frame[["list_id", "item_id"]]))
    margins = recommender.fusion.margins(ablation.matrix(lists)[at])
    said = recommender.fusion.probabilities(margins, later.frame["position"])[BEHAVIOUR]
    return Judged(lists.user_ids, values, said, later.labels(Events.of(done))[BEHAVIOUR], training.clock.seconds)


def world_lists(world: Simulation) -> pd.DataFrame:
    """The lists of the last week."""
    return world.lists[world.lists["datetime"] >= WEEK]


def wanted(world: Simulation, seed: int) -> tuple[Candidates, NDArray[np.float64]]:
    """The last week's candidates with what is wanted of them, and how probable a click is where the user looks."""
    lists = world_lists(world)
    sizes = lists["candidates"].map(len).to_numpy(np.int64)
    item_ids = np.concatenate([np.asarray(one, object) for one in lists["candidates"]])
    users, times = (lists[name].iloc[np.repeat(np.arange(len(lists)), sizes)] for name in ("user_id", "datetime"))
    worth = world.truth.probabilities(list(users), list(item_ids), times, BEHAVIOUR)
    gains = (np.random.default_rng([seed, 7]).random(len(worth)) < worth).astype(np.float64)
    offsets = np.r_[0, np.cumsum(sizes)]
    as_of = lists["datetime"].dt.tz_convert(None).to_numpy("datetime64[us]")
    return Candidates(lists["user_id"].to_numpy(object), offsets, item_ids, gains, as_of), worth
