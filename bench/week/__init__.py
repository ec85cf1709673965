"""A scripted week against `keel serve`: customers, analysts and shoppers come over HTTP, a fifth of them to do harm;
at its end the models learn from what was said. Then lies come that pass the vetting: of stolen accounts, and bought.

Whether a challenger deserved its fate is judged on rows that no gate has seen.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.contract import Figures
from bench.seeds import FIRST_SEED
from bench.week import desk, shop, wire
from bench.week.house import House, Tally
from bench.week.outcome import Outcome
from engine import Progress
from engine.resources import home

WHOLE = "whole"
"""Stands in the folder of first champions once all are there."""


def run(*, seeds: int) -> Figures:
    """Means over the seeds; intervals are those of the first."""
    weeks: list[tuple[dict[str, Outcome], Tally]] = []
    with Progress() as progress:
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            weeks.append(_week(seed, progress))
    told = [{key: value for name, one in found.items() for key, value in one.figures(name).items()}
            for found, _ in weeks]  # fmt: skip
    figures = {key: float(np.mean([one[key] for one in told if key in one])) for key in told[0]}
    for key in ("promoted_only_when_better", "poisoned_refused"):
        figures[key] = min(value for name, value in figures.items() if name.endswith(key))
    figures["requests"] = float(sum(tally.requests for _, tally in weeks))
    figures["failed_requests"] = float(sum(len(tally.faults) for _, tally in weeks))
    first, _ = weeks[0]
    intervals = {key: value for name, one in first.items() for key, value in one.intervals(name).items()}
    settings = {
        "seeds": seeds,
        "why": [{name: [one.week.why, one.poisoned.why] for name, one in found.items()} for found, _ in weeks],
        "failed_gates": [{name: list(one.poisoned.gates) for name, one in found.items()} for found, _ in weeks],
        "first_faults": [fault for _, tally in weeks for fault in tally.faults][:3],
    }
    return Figures(figures, intervals, settings)


def _week(seed: int, progress: Progress) -> tuple[dict[str, Outcome], Tally]:
    founded = home() / "bench" / f"week-{seed}"
    with TemporaryDirectory() as folder:
        people = desk.Desk.of(seed, Path(folder)), wire.Wire.of(seed, Path(folder)), shop.Shop.of(seed)
        if not (founded / WHOLE).exists():
            progress.stage("the first champions")
            _found(founded, people)
        place = Path(folder) / "home"
        shutil.copytree(founded, place)
        house = House(place)
        with _at(place), house.serving():
            lived = {}
            for name, module, who in zip(("intents", "news", "recommender"), (desk, wire, shop), people, strict=True):
                progress.stage(f"seed {seed}: a week of {name}")
                lived[name] = module.lived(who, house, seed)
    return lived, house.tally


def _found(place: Path, people: tuple[desk.Desk, wire.Wire, shop.Shop]) -> None:
    """Train the first champions, once a seed. Their recipes name files here: the folder keeps its place."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for one in people:
        one.found(House(place), place)
    (place / WHOLE).touch()


@contextmanager
def _at(place: Path) -> Iterator[None]:
    """Keel's home for this process."""
    before, os.environ["KEEL_HOME"] = os.environ.get("KEEL_HOME"), str(place)
    try:
        yield
    finally:
        if before is None:
            del os.environ["KEEL_HOME"]
        else:
            os.environ["KEEL_HOME"] = before
