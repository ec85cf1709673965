"""A million rows of users and candidates scored from Parquet: rows a second, memory, and each row's score alone.

The recommender learns a simulated shop, its item encoder untuned, since neither speed nor memory depends on it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from apps.recommender.batch import score_file
from apps.recommender.events import Events
from apps.recommender.items import Items
from apps.recommender.ranker import Recommender
from apps.recommender.settings import Settings
from apps.recommender.simulate import simulate
from apps.recommender.world import World
from bench.contract import Figures
from engine import Progress, packaged
from engine.memory import peak_mb

USERS, EACH = 5_000, 200
"""A million rows: users, and candidates of each; a user in twenty is a stranger."""
STRANGERS = 20
SAMPLE = 500
NAME = "bench-batch-score"


def run(*, seeds: int) -> Figures:
    """`rows_per_s`, loading left out; `max_rss_mb` of the process that scores, loading included; `max_difference`
    between the scores of the file and those of rows asked about one by one."""
    with tempfile.TemporaryDirectory() as place, Progress() as progress:
        recommender = learnt(progress)
        source, target = Path(place) / "asked.parquet", Path(place) / "scored.parquet"
        asked(recommender).to_parquet(source, index=False)
        progress.stage("scoring")
        command = [sys.executable, "-m", "bench.batch_score", recommender.version, str(source), str(target)]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        found = pd.read_parquet(target)
        progress.stage("rows one by one")
        rows = found.iloc[np.random.default_rng(1).permutation(len(found))[:SAMPLE]]
        alone = [
            recommender.score([user], [[item]])["score"].iloc[0]
            for user, item in zip(rows["user_id"], rows["item_id"], strict=True)
        ]
    figures = {
        "rows_per_s": told["scored"] / told["seconds"],
        "max_rss_mb": told["max_rss_mb"],
        "max_difference": float(np.abs(rows["score"].to_numpy() - np.array(alone)).max()),
    }
    settings = {"rows": told["scored"], "users": USERS, "sample": SAMPLE, "features": len(recommender.features.names)}
    return Figures(figures, {}, settings)


def learnt(progress: Progress) -> Recommender:
    """A stored recommender of a simulated shop."""
    shop = simulate(World(users=USERS, weeks=6, lists=0.5))
    items = Items.read(packaged() / "data" / "catalog" / "items.jsonl")
    settings = Settings.parse({"text": {"pairs": 0}})
    return Recommender.fit(items, Events.of(shop.events), settings=settings, progress=progress).save(NAME)


def asked(recommender: Recommender) -> pd.DataFrame:
    """Each user's candidates one behind the other."""
    random = np.random.default_rng(0)
    users = [f"stranger-{n}" if n % STRANGERS == 0 else f"u{n:04d}" for n in range(1, USERS + 1)]
    drawn = random.random((USERS, len(recommender.items))).argsort(axis=1)[:, :EACH]
    return pd.DataFrame({"user_id": np.repeat(users, EACH), "item_id": recommender.items.ids[drawn.ravel()]})


def main(version: str, source: str, target: str) -> None:
    recommender = Recommender.load(version)
    start = time.perf_counter()
    counts = score_file(recommender, Path(source), Path(target), Progress())
    seconds = time.perf_counter() - start
    sys.stdout.write(json.dumps({"scored": counts.scored, "seconds": seconds, "max_rss_mb": peak_mb()}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
