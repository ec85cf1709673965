"""Sixteen customers at once, for a minute, against `support-bot serve`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import httpx
import numpy as np

from apps.customer_service.dialogues import read_questions
from bench import server, support
from bench.contract import Figures
from engine import Progress
from engine.resources import home

CLIENTS = 16
SECONDS = 60
TURNS = 5
"""Of a conversation; then its client begins another one."""


@dataclass
class Client:
    """One customer's clock: what each turn took, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    mixed: int = 0


def run(*, seeds: int) -> Figures:
    """`errors`: requests that were refused or failed; `mixed`: conversations that hold another customer's words."""
    with Progress() as progress:
        support.bot(progress)
        texts = [one.text for one in read_questions(support.questions("test"))]
        asking = ("--database", f"sqlite:///{home() / 'asked.db'}")
        key, log = server.key("support-bot", f"load-{time.time()}", *asking), home() / "support-load.log"
        progress.stage("waiting for the server")
        with server.serving("support-bot", "--no-page", *asking, log=log) as running:
            progress.stage(f"{CLIENTS} customers for {SECONDS} seconds")
            clients = _load(running.base, key, texts)
    seconds = np.concatenate([one.seconds for one in clients])
    faults = [fault for one in clients for fault in one.faults]
    return Figures(
        {
            "errors": float(len(faults)),
            "mixed": float(sum(one.mixed for one in clients)),
            "p50_ms": float(1000 * np.percentile(seconds, 50)),
            "p99_ms": float(1000 * np.percentile(seconds, 99)),
            "answers_per_s": len(seconds) / SECONDS,
        },
        {},
        {"seeds": 1, "clients": CLIENTS, "answers": len(seconds), "first_faults": faults[:3]},
    )


def _load(base: str, key: str, texts: list[str]) -> list[Client]:
    clients = [Client() for _ in range(CLIENTS)]
    end = time.monotonic() + SECONDS
    threads = [
        threading.Thread(target=_converse, args=(one, base, key, texts, number, end))
        for number, one in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients


def _converse(client: Client, base: str, key: str, texts: list[str], number: int, end: float) -> None:
    draw = np.random.default_rng(number)
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        while time.monotonic() < end:
            try:
                begun = http.post("/v1/conversations", json={}).raise_for_status().json()
                here = f"/v1/conversations/{begun['id']}"
                said = []
                for _ in range(TURNS):
                    said.append(f"{texts[draw.integers(len(texts))]} (customer {number})")
                    started = time.perf_counter()
                    http.post(f"{here}/messages", json={"text": said[-1]}).raise_for_status()
                    client.seconds.append(time.perf_counter() - started)
                turns = http.get(here).raise_for_status().json()["turns"]
                # By its end: what looks like personal data is masked as it is stored.
                own = [one["text"].endswith(f"(customer {number})") for one in turns if one["role"] == "customer"]
                client.mixed += not (len(own) == len(said) and all(own))
            except httpx.HTTPError as fault:
                client.faults.append(f"{type(fault).__name__}: {fault}")
