"""Milliseconds of a list of 300 candidates over HTTP: one client and eight, with the cross-encoder and without."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import numpy as np

from apps.recommender.events import Events
from apps.recommender.items import Items
from apps.recommender.ranker import Recommender
from apps.recommender.settings import Settings
from apps.recommender.simulate import simulate
from apps.recommender.world import World
from bench import server
from bench.contract import Figures
from engine import Progress, packaged
from engine.errors import InputError
from engine.resources import home

NAME = "bench-rank-latency"
CANDIDATES, SHOWN = 300, 20
WARM, ASKED = 30, 400
CLIENTS, SECONDS = 8, 60
BUDGET_MS = 100.0
WEEKS = 8


@dataclass
class Client:
    """One shop's clock: milliseconds and candidates read again of each list, and what went wrong."""

    ms: list[float] = field(default_factory=list)
    reranked: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def at(self, percentile: float) -> float:
        return float(np.percentile(self.ms, percentile))


def run(*, seeds: int) -> Figures:
    """`over_budget`: share by which the 99th percentile with the cross-encoder exceeds its budget; at most 0: it keeps
    to it. `reranked`: candidates that it read in the mean, by one client and by eight."""
    with Progress() as progress:
        recommender = _recommender(progress)
        users, items = recommender.events.frame["user_id"].unique().tolist(), recommender.items.ids.tolist()
        url = f"sqlite:///{home() / f'ranked-{time.time_ns()}.db'}"
        asking = ("--database", url)
        key, log = server.key("recommender", "bench", *asking), home() / "rank-latency.log"
        progress.stage("waiting for the server")
        with server.serving("recommender", "--model", NAME, *asking, log=log) as running:
            asked = _Asked(running.base, key, users, items)
            progress.stage("one client")
            alone = asked.so_often(ASKED, None)
            read = asked.so_often(ASKED, BUDGET_MS)
            progress.stage(f"{CLIENTS} clients for {SECONDS} seconds")
            many = asked.at_once(BUDGET_MS)
    return Figures(
        {
            "p99_ms": alone.at(99),
            "p50_ms": alone.at(50),
            "p99_rerank_ms": read.at(99),
            "over_budget": read.at(99) / BUDGET_MS - 1,
            "reranked": float(np.mean(read.reranked)),
            "errors_8_clients": float(len(many.faults) + len(alone.faults) + len(read.faults)),
            "p99_8_clients_ms": many.at(99),
            "reranked_8_clients": float(np.mean(many.reranked)),
            "lists_per_s_8_clients": len(many.ms) / SECONDS,
        },
        {},
        {
            "seeds": 1,
            "candidates": CANDIDATES,
            "shown": SHOWN,
            "budget_ms": BUDGET_MS,
            "least_ms": min(alone.ms),
            "first_faults": (many.faults + alone.faults + read.faults)[:3],
            "model": recommender.version,
        },
    )


@dataclass(frozen=True)
class _Asked:
    """Requests for lists of drawn users and candidates."""

    base: str
    key: str
    users: list[str]
    items: list[str]

    def so_often(self, count: int, budget_ms: float | None) -> Client:
        """One client after it has warmed the server."""
        client = Client()
        self._ask(client, 0, budget_ms, count + WARM)
        return Client(client.ms[WARM:], client.reranked[WARM:], client.faults)

    def at_once(self, budget_ms: float) -> Client:
        clients = [Client() for _ in range(CLIENTS)]
        until = time.monotonic() + SECONDS
        threads = [
            threading.Thread(target=self._ask, args=(one, number, budget_ms, None, until))
            for number, one in enumerate(clients, 1)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Client(
            [ms for one in clients for ms in one.ms],
            [read for one in clients for read in one.reranked],
            [fault for one in clients for fault in one.faults],
        )

    def _ask(
        self, client: Client, seed: int, budget_ms: float | None, count: int | None, until: float = float("inf")
    ) -> None:
        draw, done = np.random.default_rng(seed), 0
        with httpx.Client(base_url=self.base, headers={"Authorization": f"Bearer {self.key}"}, timeout=60) as http:
            while time.monotonic() < until and (count is None or done < count):
                done += 1
                chosen = draw.permutation(len(self.items))[:CANDIDATES]
                body: dict[str, Any] = {
                    "user": self.users[draw.integers(len(self.users))],
                    "items": [{"id": self.items[at]} for at in chosen],
                    "k": SHOWN,
                }
                if budget_ms:
                    body["budget_ms"] = budget_ms
                began = time.perf_counter()
                try:
                    found = http.post(f"/rank/{NAME}", json=body).raise_for_status().json()
                except httpx.HTTPError as fault:
                    client.faults.append(f"{type(fault).__name__}: {fault}")
                    continue
                client.ms.append(1000 * (time.perf_counter() - began))
                client.reranked.append(found["reranked"])


def _recommender(progress: Progress) -> Recommender:
    """A simulated shop's, with a cross-encoder; trained once."""
    try:
        return Recommender.load(NAME)
    except InputError:
        pass
    log = simulate(World(weeks=WEEKS))
    settings = {
        "values": {"click": 1, "purchase": 10},
        "steps": 6000,
        "text": {"pairs": 0},
        "rerank": {"pairs": 1500},
    }
    items = Items.read(packaged() / "data" / "catalog" / "items.jsonl")
    events = Events.of(log.events[log.events["event"] != "view"])
    found = Recommender.fit(items, events, settings=Settings.parse(settings), progress=progress)
    # What is timed is the road with the cross-encoder, whether so short a training helps on these lists or not.
    blend = found.blend and replace(found.blend, weights=dict.fromkeys(found.blend.weights, 0.5))
    return replace(found, blend=blend).save(NAME)
