"""Shop: shoppers of a simulated shop ask for rankings, look, click and buy; a fifth of them are bots that push items.

Bots: frantic ones, who click all day; forgers, who name lists that never showed the item; patient ones, who look like
shoppers. After the week the accounts of all shoppers are stolen, and take from each list what people like least: the
log judges as it teaches. A panel of others, who are not in the log, has told what it wanted of its lists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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

USERS, PANEL = 400, 100
"""Shoppers; and those after them, who never visit once the shop serves."""
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
THIEF = "thief"
TAKEN = 3
"""Of a list, by a thief."""
SETTINGS = {
    "values": {"click": 1, "purchase": 10},
    "steps": 3000,
    "step_share": 0.45,
    "text": {"epochs": 2},
    "sequence": {"epochs": 3},
    "booster": {"learning_rate": 0.05, "threads": 1},
}


@dataclass(frozen=True)
class Visit:
    """
    Attributes:
        kind: of a bot; empty for a shopper.
    """

    time: datetime
    user: str
    candidates: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class Shop:
    """
    Attributes:
        truth: who likes what.
        logs: of each week who was shown a list, when, of which candidates.
        disliked: items, those first that people like least.
    """

    truth: Truth
    logs: list[Log]
    disliked: list[str]

    @classmethod
    def of(cls, seed: int) -> Shop:
        truth = Truth.of(World(users=USERS + PANEL, weeks=JUDGED + 1, seed=seed))
        least = np.argsort(truth.quality, kind="stable")
        return cls(truth, list(weeks(truth)), [truth.item_ids[at] for at in least])

    @property
    def pushed(self) -> list[str]:
        """The items that bots push."""
        return self.disliked[:PUSHED]

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

    @property
    def panel(self) -> list[str]:
        """Users who are not in the log of what the service heard."""
        return self.truth.user_ids[USERS:]

    def visited(self, caller: Caller, week: int, seed: int, *, bots: int = 0, kind: str = "") -> set[str]:
        """A week of visits over HTTP; the ids of what bots and thieves did.

        Args:
            bots: how many come beside the shoppers.
            kind: of those who have the shoppers' accounts; empty: themselves.
        """
        random = np.random.default_rng([seed, week])
        visits = [replace(one, kind=kind) for one in self.visits(week)]
        each = max(1, round(len(visits) / USERS))
        visits += [
            replace(visits[at], user=f"visitor-{week}-{number}", kind=KINDS[number % len(KINDS)])
            for number in range(bots)
            for at in random.integers(len(visits), size=each).tolist()
        ]
        hostile: set[str] = set()
        for number, one in enumerate(sorted(visits, key=lambda one: (one.time, one.user))):
            done = self._visited(caller, one, f"w{week}-{number}", random)
            hostile |= {event["id"] for event in done} if one.kind else set()
        return hostile

    def visits(self, week: int, *, panel: bool = False) -> list[Visit]:
        """Those of the shoppers, or of the panel."""
        table = self.logs[week].lists[["datetime", "user_id", "candidates"]]
        table = table[table["user_id"].isin(self.panel) == panel]
        return [Visit(time, user, tuple(candidates)) for time, user, candidates in table.to_numpy().tolist()]

    def _visited(self, caller: Caller, one: Visit, list_id: str, random: np.random.Generator) -> list[dict[str, Any]]:
        """What was done, and told."""
        candidates = list(one.candidates)
        if one.kind and one.kind != THIEF:
            pushed = random.choice(self.pushed, 3, replace=False).tolist()
            candidates = [*pushed, *(item for item in candidates if item not in pushed)][: len(candidates)]
        asked = {
            "id": list_id, "user": one.user, "timestamp": one.time.isoformat(), "k": SHOWN, "explore": EXPLORE,
            "items": [{"id": item} for item in candidates],
        }  # fmt: skip
        answered = caller.post(f"/recommend/rank/{NAME}", asked)
        if answered is None:
            return []
        shown = [item["item"] for item in answered["items"]]
        act = self._bot if one.kind else self._shopper
        done = list(act(one, list_id, shown, random))
        if done:
            caller.post("/recommend/feedback", done)
        return done

    def _shopper(
        self, one: Visit, list_id: str, shown: list[str], random: np.random.Generator
    ) -> Iterator[dict[str, Any]]:
        """Looks as far as the place lets them, and takes by the truth."""
        of = ([one.user] * len(shown), shown, [one.time] * len(shown))
        click = self.truth.probabilities(*of, "click")
        seen = random.random(len(shown)) < self.truth.seen(np.arange(1, len(shown) + 1))
        took = seen & (random.random(len(shown)) < click)
        for event in ("click", *self.truth.world.chain):
            chance = np.ones(len(shown)) if event == "click" else self.truth.probabilities(*of, event) / click
            for at in np.flatnonzero(took & (random.random(len(shown)) < chance)).tolist():
                yield _event(one, shown[at], event, 5 + 3 * at, list_id)

    def _bot(self, one: Visit, list_id: str, shown: list[str], random: np.random.Generator) -> Iterator[dict[str, Any]]:
        if one.kind == "frantic":
            for at in range(FRENZY):
                yield _event(one, self.pushed[at % PUSHED], "click", at, None)
        elif one.kind == "forger":
            for at, item in enumerate(random.choice(self.pushed, 2).tolist()):
                yield _event(one, item, "click", 9 + at, f"{list_id}-none")
        else:
            taken = sorted(shown, key=self.disliked.index)[:TAKEN] if one.kind == THIEF else self.pushed
            for at, item in enumerate(item for item in shown if item in taken):
                yield _event(one, item, "click", 9 + 7 * at, list_id)
                if random.random() < 0.2:
                    yield _event(one, item, "purchase", 90 + 7 * at, list_id)

    def better(self, before: str, after: str, seed: int) -> Interval:
        """nDCG on the last week's lists, all their candidates, of what honest users would take; each model knows what
        was done up to then."""
        champion, challenger = Recommender.load(before), Recommender.load(after)
        told = Vetted.of(Logbook(tables.opened(None), "default"), champion)
        champion = champion.partial_fit(told.events)
        rows = self.wanted(self.visits(JUDGED), seed)
        lists = Candidates.shown(rows)
        ndcg = {
            name: Ranking.of(lists, Ablation(None, one).scores()[FUSED](lists)).ndcg(SHOWN)
            for name, one in (("champion", champion), ("challenger", challenger))
        }
        return bootstrap({"gain": ndcg["challenger"] - ndcg["champion"]}, lists.user_ids)["gain"]

    def wanted(self, visits: Sequence[Visit], seed: int) -> pd.DataFrame:
        """What people would take of all candidates, were they to look at each: golden lists."""
        random = np.random.default_rng([seed, 7])
        parts = []
        for number, one in enumerate(visits):
            ids = list(one.candidates)
            chance = self.truth.probabilities([one.user] * len(ids), ids, [one.time] * len(ids), "click")
            took = (random.random(len(ids)) < chance).astype(float)
            named = {"list_id": f"{one.user}-{number}", "user_id": one.user, "datetime": pd.Timestamp(one.time)}
            parts.append(pd.DataFrame({**named, "item_id": ids, "wanted": took}))
        return pd.concat(parts, ignore_index=True)


def _event(one: Visit, item: str, kind: str, seconds: int, list_id: str | None) -> dict[str, Any]:
    """What Metarank's clients send."""
    time = one.time + timedelta(seconds=seconds)
    told = {
        "event": "interaction", "id": f"{one.user}-{kind}-{item}-{time:%m%d%H%M%S}", "type": kind, "user": one.user,
        "item": item, "timestamp": time.isoformat(),
    }  # fmt: skip
    return told if list_id is None else {**told, "ranking": list_id}


def lived(shop: Shop, house: House, seed: int) -> Outcome:
    """The week and what comes after it."""
    caller = house.caller("storefront", "server")
    golden = house.home / "panel.parquet"
    shop.wanted(shop.visits(HONEST, panel=True), seed).to_parquet(golden)
    hostile = shop.visited(caller, HONEST, seed, bots=USERS // 4)
    week = Decided.of(house, "recommender", "--golden", str(golden))
    assert week.challenger is not None, week.why
    gain = shop.better(f"{NAME}@1", week.challenger, seed)
    lies = shop.visited(caller, POISONED, seed, kind=THIEF)
    poisoned = Decided.of(house, "recommender", "--golden", str(golden))
    now = week.challenger if week.promoted else f"{NAME}@1"
    harm = shop.better(now, poisoned.challenger, seed) if poisoned.challenger else None
    return Outcome(week, gain, poisoned, harm, hostile, lies)
