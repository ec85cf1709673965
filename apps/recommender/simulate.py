"""A simulated shop: lists shown by a logging policy with known propensities, and what users did. See data/README.md.

from apps.recommender.simulate import simulate
from apps.recommender.world import World
shop = simulate(World(users=800, weeks=12, seed=13))
shop.events, shop.exposures, shop.lists, shop.truth
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender import streams
from apps.recommender.exploration import draw
from apps.recommender.truth import Floats, Ints, Truth
from apps.recommender.world import World
from engine.errors import InputError

WEIGHTS = {"view": 0.1, "click": 1.0, "comment": 2.0, "share": 3.0, "purchase": 5.0}
LOOKS = (1, 4)
DELAYS = {"click": (1, 20), "comment": (60, 600), "share": (20, 120), "purchase": (120, 1800)}
"""Seconds from one position to the next, from the look to the click, and from the click to the rest: least, end."""
HOURS = np.array([4, 6, 5, 4, 4, 4, 6, 6, 4, 4, 5, 7, 10, 12, 12, 8], float)
"""Lists by hour, from 6:00 to 22:00: so no event of a week falls into the next."""
CHUNK = 2048
FILES = ("events", "exposures", "lists")
SINKS = {"parquet": streams.parquet, "jsonl": partial(streams.lines, unit="s")}


@dataclass(frozen=True)
class Log:
    """What the shop wrote down in one week, or in all.

    Attributes:
        events: user_id, item_id, event, weight, datetime (UTC), list_id; in order of time.
        exposures: list_id, user_id, datetime, position (from 1), item_id, propensity: the probability that the policy
            put this item here, given what it had put above; the product over a list is the list's.
        lists: list_id, user_id, datetime, candidates (item ids): what the policy chose from.
    """

    events: pd.DataFrame
    exposures: pd.DataFrame
    lists: pd.DataFrame


@dataclass(frozen=True)
class Simulation(Log):
    truth: Truth


def simulate(world: World, catalog: Path | None = None) -> Simulation:
    """A world's whole log in memory, with its truth."""
    truth = Truth.of(world, catalog)
    logs = list(weeks(truth))
    frames = [pd.concat([getattr(log, name) for log in logs], ignore_index=True) for name in FILES]
    events, exposures, lists = frames
    return Simulation(events, exposures, lists, truth)


def write(world: World, folder: Path, *, kind: str = "parquet", catalog: Path | None = None) -> dict[str, int]:
    """Rows written to each of events, exposures and lists; `world.json` beside them says what the truth is made from.

    A week at a time, so that any number of users fits. The folder is whole or not there.

    Raises:
        InputError: something stands there already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: something stands there already; give a new folder")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    counts = dict.fromkeys(FILES, 0)
    try:
        with ExitStack() as open_files:
            sinks = {name: open_files.enter_context(SINKS[kind](part / f"{name}.{kind}")) for name in FILES}
            for log in weeks(Truth.of(world, catalog)):
                for name, sink in sinks.items():
                    frame = getattr(log, name)
                    sink(frame)
                    counts[name] += len(frame)
        (part / "world.json").write_text(json.dumps(asdict(world), indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return counts


def weeks(truth: Truth) -> Iterator[Log]:
    """The log week by week. The policy knows the clicks of the weeks before, halved each week."""
    world = truth.world
    popularity = np.zeros(len(truth.items))
    bought = np.zeros((world.users, len(truth.items)), bool)
    written = 0
    for week in range(world.weeks):
        rng = np.random.default_rng([world.seed, 2, week])
        users, when = _occasions(truth, week, rng)
        base = world.popularity * np.log1p(popularity)
        popularity = popularity / 2
        logs = []
        for first in range(0, len(users), CHUNK):
            chunk = slice(first, first + CHUNK)
            shown = _shown(truth, week, users[chunk], when[chunk], base, bought, rng)
            happened = _happened(truth, shown, rng)
            popularity += np.bincount(shown.items[happened["click"]], minlength=len(popularity))
            logs.append((shown, happened, first + written))
        for shown, happened, _ in logs:
            rows, places = np.nonzero(happened["purchase"])
            bought[shown.users[rows], shown.items[rows, places]] = True
        written += len(users)
        parts = [_log(truth, shown, happened, number, rng) for shown, happened, number in logs]
        frames = [pd.concat([getattr(part, name) for part in parts], ignore_index=True) for name in FILES]
        frames[0] = frames[0].sort_values("datetime", kind="stable", ignore_index=True)
        yield Log(*frames)


@dataclass(frozen=True)
class _Shown:
    """Some lists: users and times (lists), candidates (lists x candidates), items, chances, utility (lists x shown)."""

    users: Ints
    when: Floats
    candidates: Ints
    items: Ints
    chances: Floats
    utility: Floats


def _occasions(truth: Truth, week: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Who is shown a list this week, and when, in order of time; everyone is, in the week of joining."""
    counts = rng.poisson(truth.activity)
    counts = np.where(truth.joined == week, np.maximum(counts, 1), np.where(truth.joined < week, counts, 0))
    users = np.repeat(np.arange(len(counts)), counts)
    seconds = rng.integers(0, 7, len(users)) * 86400 + rng.integers(0, 3600, len(users))
    hours = 6 + rng.choice(len(HOURS), len(users), p=HOURS / HOURS.sum())
    start = (truth.world.start + timedelta(weeks=week)).timestamp()
    when = start + seconds + hours * 3600
    order = np.argsort(when, kind="stable")
    return users[order].astype(np.int64), when[order].astype(np.float64)


def _shown(
    truth: Truth,
    week: int,
    users: Ints,
    when: Floats,
    base: Floats,
    bought: NDArray[np.bool_],
    rng: np.random.Generator,
) -> _Shown:
    world = truth.world
    affinity = truth.affinity(users, np.full_like(users, week))
    live = (truth.published <= when[:, None]) & ~bought[users]
    if (fewest := int(live.sum(axis=1).min())) < world.candidates:
        raise InputError(
            f"week {week + 1}: {fewest} items are for sale, under {world.candidates} candidates; "
            "simulate fewer weeks, or with fewer candidates"
        )
    candidates, _ = draw(np.where(live, world.retrieval * affinity, -np.inf), world.candidates, rng)
    places, chances = draw(base[candidates], world.shown, rng)
    items = np.take_along_axis(candidates, places, axis=1)
    near = np.take_along_axis(affinity, items, axis=1)
    return _Shown(users, when, candidates, items, chances, truth.utility(near, users[:, None], items, when[:, None]))


def _happened(truth: Truth, shown: _Shown, rng: np.random.Generator) -> dict[str, NDArray[np.bool_]]:
    """Whether each event happened, lists x shown: a view by position, a click by utility, the rest after a click."""
    size = shown.items.shape
    seen = rng.random(size) < truth.seen(np.arange(1, size[1] + 1))
    clicked = seen & (rng.random(size) < truth.after(shown.utility, "click"))
    later = {name: clicked & (rng.random(size) < truth.after(shown.utility, name)) for name in truth.world.chain}
    return {"view": seen, "click": clicked, **later}


def _log(
    truth: Truth, shown: _Shown, happened: dict[str, NDArray[np.bool_]], first: int, rng: np.random.Generator
) -> Log:
    user_ids, item_ids = np.array(truth.user_ids, object), np.array(truth.item_ids, object)
    numbers = np.arange(first + 1, first + 1 + len(shown.users))
    list_ids = np.array([f"l{number:08d}" for number in numbers], object)
    lists = pd.DataFrame({"list_id": list_ids, "user_id": user_ids[shown.users], "datetime": _times(shown.when)})
    lists["candidates"] = list(item_ids[shown.candidates])
    rows, places = (axis.ravel() for axis in np.indices(shown.items.shape))
    exposures = lists[["list_id", "user_id", "datetime"]].iloc[rows].reset_index(drop=True)
    exposures["position"] = places + 1
    exposures["item_id"] = item_ids[shown.items.ravel()]
    exposures["propensity"] = shown.chances.ravel()
    looked = shown.when[:, None] + np.cumsum(rng.integers(*LOOKS, shown.items.shape), axis=1)
    clicked = looked + rng.integers(*DELAYS["click"], shown.items.shape)
    frames = []
    for event, mask in happened.items():
        rows, _ = np.nonzero(mask)
        moments = (looked if event == "view" else clicked)[mask]
        if event in truth.world.chain:
            moments = moments + rng.integers(*DELAYS[event], len(moments))
        frames.append(
            pd.DataFrame(
                {
                    "user_id": user_ids[shown.users[rows]],
                    "item_id": item_ids[shown.items[mask]],
                    "event": event,
                    "weight": WEIGHTS[event],
                    "datetime": _times(moments),
                    "list_id": list_ids[rows],
                }
            )
        )
    return Log(pd.concat(frames, ignore_index=True), exposures, lists)


def _times(seconds: Floats) -> pd.DatetimeIndex:
    return pd.to_datetime(seconds.astype(np.int64), unit="s", utc=True)
