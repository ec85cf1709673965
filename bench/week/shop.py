"""Shop: shoppers of a simulated shop ask for rankings, look, click and buy; a fifth of them are bots that push items.

Bots: frantic ones, who click all day; forgers, who name lists that never showed the item; patient ones, who look like
shoppers. After the week patient ones alone come, as many as there are shoppers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.recommender import tables
from apps.recommender.ablation import FUSED, Ablation
from apps.recommender.candidates import Candidates
from apps.recommender.intervals import Interval, bootstrap
from apps.recommender.logbook import Logbook
from apps.recommender.metrics import Ranking
from apps.recommender.ranker import NAME, Recommender
from apps.recommender.simulate import Log, weeks
from apps.recommender.truth import Truth
from apps.recommender.vetted import Vetted
from apps.recommender.world import World
from bench.week.house import Caller, House
from bench.week.outcome import Decided, Outcome
from engine import packaged

USERS = 400
PAST = 2
"""Weeks that the first champion learns from."""
HONEST, POISONED, JUDGED = PAST, PAST + 1, PAST + 2
SHOWN = 10
EXPLORE = 1.0
"""Temperature at which the shop draws its lists: those that a model alone orders judge it too kindly."""
PUSHED = 25
FRENZY = 15
"""Clicks of a frantic bot a visit."""
KINDS = ("patient", "frantic", "forger", "patient")
SETTINGS = {
    "values": {"click": 1, "purchase": 10},
    "steps": 3000,
    "step_share": 0.45,
    "text": {"epochs": 2},
    "sequence": {"epochs": 3},
    "booster": {"learning_rate": 0.05, "threads": 1},
}


@dataclass(frozen=True)
class Shop:
    """
    Attributes:
        truth: who likes what.
        logs: of each week who was shown a list, when, of which candidates.
        pushed: the items that bots push: those that people like least.
    """

    truth: Truth
    logs: list[Log]
    pushed: list[str]

    @classmethod
    def of(cls, seed: int) -> Shop:
        truth = Truth.of(World(users=USERS, weeks=JUDGED + 1, seed=seed))
        least = np.argsort(truth.quality, kind="stable")[:PUSHED]
        return cls(truth, list(weeks(truth)), [truth.item_ids[at] for at in least])

    def found(self, house: House, folder: Path) -> None:
        """Train the first champion."""
        events = pd.concat([log.events for log in self.logs[:PAST]], ignore_index=True)
        events[events["event"] != "view"].to_parquet(folder / "events.parquet")
        exposures = pd.concat([log.exposures for log in self.logs[:PAST]], ignore_index=True)
        exposures.to_parquet(folder / "exposures.parquet")
        (folder / "shop.yaml").write_text(json.dumps(SETTINGS), encoding="utf-8")
        house.run(
            "recommender", "train", "--items", str(packaged() / "data" / "catalog" / "items.jsonl"),
            "--events", str(folder / "events.parquet"), "--exposures", str(folder / "exposures.parquet"),
            "--settings", str(folder / "shop.yaml"), "--hold-out", "0",
        )  # fmt: skip

    def visited(self, caller: Caller, week: int, kinds: tuple[str, ...], bots: int, seed: int) -> set[str]:
        """A week of visits over HTTP; the ids of what bots did."""
        random = np.random.default_rng([seed, week])
        lists = self.logs[week].lists
        hostile: set[str] = set()
        names = [f"visitor-{week}-{number}" for number in range(bots)]
        each = max(1, round(len(lists) / self.truth.world.users))
        visits = [(row.datetime, row.user_id, "", row.candidates) for row in lists.itertuples()]
        for number, name in enumerate(names):
            for at in random.integers(len(lists), size=each):
                row = lists.iloc[at]
                visits.append((row["datetime"], name, kinds[number % len(kinds)], row["candidates"]))
        for number, (time, user, kind, candidates) in enumerate(sorted(visits, key=lambda one: (one[0], one[1]))):
            if kind:
                pushed = random.choice(self.pushed, 3, replace=False)
                candidates = [*pushed, *(one for one in candidates if one not in pushed)][: len(candidates)]
            asked = {
                "id": f"w{week}-{number}", "user": user, "timestamp": time.isoformat(), "k": SHOWN,
                "explore": EXPLORE, "items": [{"id": one} for one in candidates],
            }  # fmt: skip
            answered = caller.post(f"/recommend/rank/{NAME}", asked)
            if answered is None:
                continue
            shown = [one["item"] for one in answered["items"]]
            done = list(self._bot(kind, user, time, asked["id"], shown, random) if kind else
                        self._shopper(user, time, asked["id"], shown, random))  # fmt: skip
            if done:
                caller.post("/recommend/feedback", done)
            hostile |= {one["id"] for one in done} if kind else set()
        return hostile

    def _shopper(
        self, user: str, time: datetime, list_id: str, shown: list[str], random: np.random.Generator
    ) -> Iterator[dict[str, Any]]:
        """Looks as far as the place lets them, and takes by the truth."""
        of = ([user] * len(shown), shown, [time] * len(shown))
        click = self.truth.probabilities(*of, "click")
        seen = random.random(len(shown)) < self.truth.seen(np.arange(1, len(shown) + 1))
        took = seen & (random.random(len(shown)) < click)
        for event in ("click", *self.truth.world.chain):
            chance = np.ones(len(shown)) if event == "click" else self.truth.probabilities(*of, event) / click
            for at in np.flatnonzero(took & (random.random(len(shown)) < chance)):
                yield _event(user, shown[at], event, time + timedelta(seconds=5 + 3 * int(at)), list_id)

    def _bot(
        self, kind: str, user: str, time: datetime, list_id: str, shown: list[str], random: np.random.Generator
    ) -> Iterator[dict[str, Any]]:
        wanted = [one for one in shown if one in self.pushed]
        if kind == "frantic":
            for at in range(FRENZY):
                yield _event(user, self.pushed[at % PUSHED], "click", time + timedelta(seconds=at), None)
        elif kind == "forger":
            for at, item in enumerate(random.choice(self.pushed, 2)):
                yield _event(user, item, "click", time + timedelta(seconds=9 + at), f"{list_id}-none")
        else:
            for at, item in enumerate(wanted):
                yield _event(user, item, "click", time + timedelta(seconds=9 + 7 * at), list_id)
                if random.random() < 0.2:
                    yield _event(user, item, "purchase", time + timedelta(seconds=90 + 7 * at), list_id)

    def better(self, before: str, after: str, seed: int) -> Interval:
        """nDCG on the last week's lists, all their candidates, of what honest users would take; each model knows what
        was done up to then."""
        champion, challenger = Recommender.load(before), Recommender.load(after)
        told = Vetted.of(Logbook(tables.opened(None), "default"), champion)
        champion = champion.partial_fit(told.events)
        lists = self._wanted(seed)
        ndcg = {
            name: Ranking.of(lists, Ablation(None, one).scores()[FUSED](lists)).ndcg(SHOWN)
            for name, one in (("champion", champion), ("challenger", challenger))
        }
        return bootstrap({"gain": ndcg["challenger"] - ndcg["champion"]}, lists.user_ids)["gain"]

    def _wanted(self, seed: int) -> Candidates:
        lists = self.logs[JUDGED].lists
        rows = []
        random = np.random.default_rng([seed, 7])
        for row in lists.itertuples():
            ids = list(row.candidates)
            chance = self.truth.probabilities([row.user_id] * len(ids), ids, [row.datetime] * len(ids), "click")
            rows.append((row.user_id, ids, (random.random(len(ids)) < chance).astype(float).tolist()))
        return Candidates.of(rows, lists["datetime"].dt.tz_convert(None).to_numpy("datetime64[us]"))


def _event(user: str, item: str, kind: str, time: datetime, list_id: str | None) -> dict[str, Any]:
    id = f"{user}-{kind}-{item}-{time:%m%d%H%M%S}"
    told = {"event": "interaction", "id": id, "type": kind, "user": user, "item": item, "timestamp": time.isoformat()}
    return told if list_id is None else {**told, "ranking": list_id}


def lived(shop: Shop, house: House, seed: int) -> Outcome:
    """The week and what comes after it."""
    caller = house.caller("storefront", "server")
    hostile = shop.visited(caller, HONEST, KINDS, USERS // 4, seed)
    week = Decided.of(house, "recommender")
    assert week.challenger is not None, week.why
    gain = shop.better(f"{NAME}@1", week.challenger, seed)
    lies = shop.visited(caller, POISONED, ("patient",), USERS, seed)
    poisoned = Decided.of(house, "recommender")
    now = week.challenger if week.promoted else f"{NAME}@1"
    harm = shop.better(now, poisoned.challenger, seed) if poisoned.challenger else None
    return Outcome(week, gain, poisoned, harm, hostile, lies)
