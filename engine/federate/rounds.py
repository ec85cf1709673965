"""Rounds: the server's loop. A round is kept whole or not at all, and a killed run goes on after the last one kept.

A client cut off within a round goes on from its own checkpoint, and ends with what it would have sent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.federate.client import Client
from engine.federate.messages import EvaluateRes, FitRes, Parameters
from engine.federate.strategy import FedAvg
from engine.tasks.task import Watcher
from engine.tuning.keeper import Epoch

FINE = 100
"""Parts of one client's round, for the progress bar: clients have differing numbers of steps."""
NAME = "round-{:04d}.safetensors"


def run(
    strategy: FedAvg,
    clients: Sequence[Client],
    rounds: int,
    *,
    initialize: Callable[[], Parameters],
    folder: Path,
    watcher: Watcher,
) -> tuple[Parameters, list[Epoch]]:
    """The parameters after the last round, and each round's mean loss on train rows and score on dev rows.

    Args:
        initialize: gives the parameters of the beginning; not asked where a round is kept already.
        folder: rounds are kept here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done, kept = _last(folder)
    parameters, history = kept or (initialize(), [])
    if not kept:
        _keep(folder, 0, parameters, history)
    for number in range(done + 1, rounds + 1):
        results = []
        asked = strategy.configure_fit(number, parameters, clients)
        for place, (client, ins) in enumerate(asked):
            client.progress = _progress(watcher, number, rounds, place, len(asked), history)
            results.append((client, FitRes(*client.fit(ins.parameters, ins.config))))
        parameters, metrics = strategy.aggregate_fit(number, results)
        judged = [
            (client, EvaluateRes(*client.evaluate(ins.parameters, ins.config)))
            for client, ins in strategy.configure_evaluate(number, parameters, clients)
        ]
        _, scores = strategy.aggregate_evaluate(number, judged)
        loss, score = metrics.get("loss"), scores.get("accuracy")
        entry: Epoch = {"epoch": number, "loss": _number(loss), "score": _number(score)}
        history = [*history, entry]
        _keep(folder, number, parameters, history)
        for client in clients:
            client.forget(number)
    return parameters, history


def _progress(
    watcher: Watcher, number: int, rounds: int, place: int, clients: int, history: Sequence[Epoch]
) -> Callable[[int, int, str], None]:
    before = f"round {number} of {rounds}"
    if history:
        told = [f"{name} {history[-1][name]:.3f}" for name in ("loss", "score") if history[-1][name] is not None]
        before += f" ({', '.join(told)})" if told else ""

    def step(done: int, total: int, note: str) -> None:
        part = FINE * ((number - 1) * clients + place) + FINE * done // max(1, total)
        watcher.step(part, FINE * rounds * clients, before)

    return step


def _last(folder: Path) -> tuple[int, tuple[Parameters, list[Epoch]] | None]:
    from safetensors import safe_open

    found = sorted(folder.glob("round-*.safetensors"))
    if not found:
        return 0, None
    with safe_open(found[-1], framework="numpy") as stream:
        names = sorted(stream.keys(), key=int)
        parameters = [stream.get_tensor(name) for name in names]
        history: list[Epoch] = json.loads(stream.metadata()["history"])
    return int(found[-1].stem.rpartition("-")[2]), (parameters, history)


def _keep(folder: Path, number: int, parameters: Parameters, history: Sequence[Epoch]) -> None:
    from safetensors.numpy import save_file

    aside = folder / ".round"
    arrays = {str(place): array for place, array in enumerate(parameters)}
    save_file(arrays, aside, metadata={"history": json.dumps(history)})
    with aside.open("rb") as stream:
        os.fsync(stream.fileno())
    aside.replace(folder / NAME.format(number))
    (folder / NAME.format(number - 2)).unlink(missing_ok=True)  # the one before stays, should the disk lose this


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
