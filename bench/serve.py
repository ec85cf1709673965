"""`engine serve` under sixteen clients: texts a second beside the offline Predictor, and a promotion meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import clients, server
from bench.contract import Figures
from bench.seeds import trained
from bench.server import Server
from engine import Predictor, Progress, Recipe, Store, Version, load, packaged

NAME = "finance-news"
CLIENTS = 16
ROUNDS = 5
SECONDS = 8
"""Of each part of a round."""
TEXTS = 400
LIST = 8
"""Texts of a request in the second part."""
SWAP_SECONDS = 60
PROMOTED, ROLLED_BACK = 15, 35
"""Seconds after which the other version is promoted, and taken back."""
GRACE_S = 5.0
"""By which a running server is to have noticed."""


def run(*, seeds: int) -> Figures:
    """`http_share`: texts a second over HTTP, one a request, over those of `Predictor.predict` in the same round; the
    median of the rounds. `different`: answers that are not, to the byte, what the Predictor says. `noticed_s`: until
    the last answer of the version before, at the promotion and at the rollback, the longer. `cpu_share`: processor
    seconds of a text offline over those of server and clients a text, one a request: holds on a machine that does other
    things as well, where a server that waits for its turn at each step gets less of the wall's time."""
    with Progress() as progress, tempfile.TemporaryDirectory() as home:
        (version,) = trained(Recipe.load("recipes/finance_news.yaml"), 1, progress)
        store = Store(Path(home) / "models")
        first, second = _stored(store, version, 1.0), _stored(store, version, 2.0)
        store.promote(first)
        texts = _texts()
        said = {str(one): _said(load(str(one), store=store), texts) for one in (first, second)}
        environment = {**os.environ, "KEEL_HOME": home}
        key = server.key("engine", "bench", environment=environment)
        with server.serving("engine", "--model", NAME, log=Path(home) / "log", environment=environment) as running:
            asked = _Asked(running, key)
            singles = [asked.request({"text": text}) for text in texts]
            lists = [asked.request({"texts": texts[at : at + LIST]}) for at in range(0, len(texts) - LIST + 1, LIST)]
            predictor, rounds = load(str(first), store=store), []
            for number in range(ROUNDS):
                progress.stage(f"round {number + 1} of {ROUNDS}")
                rounds.append(_Round.of(asked, predictor, texts, singles, lists, said[str(first)]))
            progress.stage(f"promotion and rollback under {CLIENTS} clients, {SWAP_SECONDS} seconds")
            swap = _swap(running, store, first, second, singles, said)
    share, listed = ([getattr(one, name) / one.offline for one in rounds] for name in ("single", "listed"))
    seconds = [value for one in rounds for value in one.heard.seconds]
    faults = [fault for one in rounds for fault in one.heard.faults] + swap.heard.faults
    return Figures(
        {
            "http_share": float(np.median(share)),
            "http_share_lists": float(np.median(listed)),
            "cpu_share": float(np.median([one.cpu_offline / one.cpu_single for one in rounds])),
            "failed_requests": float(len(faults)),
            "different": float(sum(one.different for one in rounds) + swap.different),
            "p50_ms": float(1000 * np.percentile(seconds, 50)),
            "p99_ms": float(1000 * np.percentile(seconds, 99)),
            "noticed_s": swap.noticed,
            "swap_p99_ms": float(1000 * np.percentile(swap.heard.seconds, 99)),
        },
        {"http_share": (min(share), max(share)), "http_share_lists": (min(listed), max(listed))},
        {
            "seeds": 1,
            "clients": CLIENTS,
            "answers": len(seconds),
            "swap_answers": swap.told,
            "offline_texts_per_s": round(float(np.median([one.offline for one in rounds])), 1),
            "intervals": "lowest and highest of the rounds",
            "first_faults": faults[:3],
        },
    )


@dataclass
class _Round:
    """Texts a second of the three in turn, and what the clients with single texts heard."""

    offline: float
    single: float
    listed: float
    heard: clients.Heard
    different: int
    cpu_offline: float
    cpu_single: float
    """Processor seconds of a text, of clients and server together."""

    @classmethod
    def of(
        cls,
        asked: _Asked,
        predictor: Predictor,
        texts: list[str],
        singles: list[bytes],
        lists: list[bytes],
        said: list[str],
    ) -> _Round:
        done, began, spent = 0, time.monotonic(), asked.cpu()
        while time.monotonic() < began + SECONDS:
            predictor.predict(texts)
            done += len(texts)
        offline, cpu, different = done / (time.monotonic() - began), (asked.cpu() - spent) / done, 0
        model = {"model": predictor.model, "backend": predictor.backend}

        def one(number: int, body: bytes, _: float) -> None:
            nonlocal different
            different += body.decode() != f'{{"answer": {said[number]}, {json.dumps(model)[1:]}'

        def many(number: int, body: bytes, _: float) -> None:
            nonlocal different
            expected = ", ".join(said[LIST * number : LIST * number + LIST])
            different += body.decode() != f'{{"answers": [{expected}], {json.dumps(model)[1:]}'

        spent = asked.cpu()
        heard = clients.load(asked.server.port, singles, CLIENTS, SECONDS, one)
        single = (asked.cpu() - spent) / max(1, len(heard.seconds))
        more = clients.load(asked.server.port, lists, CLIENTS, SECONDS, many)
        heard.faults += more.faults
        rate = LIST * len(more.seconds) / more.lasted
        return cls(offline, len(heard.seconds) / heard.lasted, rate, heard, different, cpu, single)


@dataclass
class _Swap:
    heard: clients.Heard
    noticed: float = 0.0
    different: int = 0
    told: dict[str, int] = field(default_factory=dict)
    """Version -> its answers."""


def _swap(
    running: Server, store: Store, first: Version, second: Version, singles: list[bytes], said: dict[str, list[str]]
) -> _Swap:
    """Clients ask on while the second version is promoted and taken back."""
    swap = _Swap(clients.Heard(), told=dict.fromkeys(said, 0))
    began = time.monotonic()
    moves: list[tuple[float, Callable[[], object]]] = [
        (began + PROMOTED, lambda: store.promote(second)),
        (began + ROLLED_BACK, lambda: store.rollback(NAME)),
    ]
    expected, moved = str(first), began

    def hears(number: int, body: bytes, now: float) -> None:
        nonlocal expected, moved
        if moves and now >= moves[0][0]:
            _, move = moves.pop(0)
            move()
            expected, moved = (str(first), str(second))[len(moves) % 2], time.monotonic()
        found = json.loads(body)
        model = found["model"]
        swap.told[model] += 1
        answer = body.decode().partition('{"answer": ')[2].partition(', "model": ')[0]
        swap.different += answer != said[model][number]
        if model != expected:
            swap.noticed = max(swap.noticed, now - moved)

    swap.heard = clients.load(running.port, singles, CLIENTS, SWAP_SECONDS, hears)
    return swap


def _stored(store: Store, version: Version, warmth: float) -> Version:
    """The version, with its temperatures so many times as high: the same weights, other probabilities."""
    with store.staging(NAME) as place:
        shutil.copytree(version.folder, place, dirs_exist_ok=True)
        calibration = place / "calibration.json"
        value = json.loads(calibration.read_text(encoding="utf-8"))
        value["temperatures"] = {head: warmth * of for head, of in value["temperatures"].items()}
        calibration.write_text(json.dumps(value), encoding="utf-8")
        manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
        (place / "manifest.json").unlink()
        return store.commit(NAME, place, manifest)


def _texts() -> list[str]:
    lines = (packaged() / "data" / "finance" / "headlines.jsonl").read_text(encoding="utf-8").splitlines()
    return [row["title"] for row in map(json.loads, lines) if row["lang"] == "en"][:TEXTS]


def _said(predictor: Predictor, texts: list[str]) -> list[str]:
    return [json.dumps(one.as_dict(), ensure_ascii=False) for one in predictor.predict(texts)]


@dataclass(frozen=True)
class _Asked:
    """The server as it is asked, with a key."""

    server: Server
    key: str

    def cpu(self) -> float:
        """Processor seconds that the server and this process have used."""
        import psutil

        of = [psutil.Process(one).cpu_times() for one in (self.server.process, os.getpid())]
        return float(sum(one.user + one.system for one in of))

    def request(self, body: dict[str, Any]) -> bytes:
        path, host = f"/v1/predict/{NAME}", f"127.0.0.1:{self.server.port}"
        return clients.request(path, json.dumps(body).encode(), self.key, host)
