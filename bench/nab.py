"""NAB's ten counts of tweets: the volume detector against NAB's windowed Gaussian, all three profiles.

The detector's constants were chosen on series of our own making (bench/bursts.py; the settings tell its scores on
twenty others of that kind), its form with the ten in view; none differs from series to series. `standard_held_out`
takes each series' threshold from the other nine, where NAB takes one from all ten.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from scipy.special import erfc

from apps.finance_monitor.volume import Volume
from bench.bursts import Series, simulate
from bench.contract import Figures, public_data
from bench.nab_rules import PROFILES, Curve, Scores, Worth
from engine import Progress

STEP = timedelta(minutes=5)
SIMULATED = 20
GAUSSIAN_WINDOW, GAUSSIAN_STEP = 6400, 100


def run(*, seeds: int) -> Figures:
    """Fractions of what is perfect: NAB tells them times 100. Nothing differs from seed to seed."""
    figures: dict[str, float] = {}
    thresholds: dict[str, float] = {}
    own: dict[str, float] = {}
    with Progress() as progress:
        tweets = series(public_data("nab_tweets"))
        for number, (corpus, found) in enumerate(
            ((tweets, figures), ([simulate(seed) for seed in range(SIMULATED)], own)), 1
        ):
            worths = [Worth(len(one.counts), one.windows) for one in corpus]
            for name, detector in (("", volume), ("_gaussian", gaussian)):
                progress.stage(f"corpus {number} of 2: {detector.__name__}")
                scores = [detector(one) for one in corpus]
                for profile, costs in PROFILES.items():
                    score, threshold = Curve(scores, worths, costs).best()
                    found[profile + name] = score
                    if found is figures:
                        thresholds[profile + name] = threshold
                found["standard_held_out" + name] = held_out(scores, worths)
    return Figures(
        figures,
        settings={
            "seeds": 1,
            "steps": sum(len(one.counts) for one in tweets),
            "windows": sum(len(one.windows) for one in tweets),
            "thresholds": thresholds,
            "own_series": {name: round(score, 4) for name, score in own.items()},
        },
    )


def series(folder: Path) -> list[Series]:
    """All series of a folder that its windows.json names."""
    found = []
    for name, windows in sorted(json.loads((folder / "windows.json").read_text(encoding="utf-8")).items()):
        with (folder / name).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        times = [datetime.fromisoformat(row["timestamp"]) for row in rows]
        at = {time: step for step, time in enumerate(times)}
        limits = sorted(
            (at[datetime.fromisoformat(first)], at[datetime.fromisoformat(last)]) for first, last in windows
        )
        found.append(Series(Path(name).stem, times, [int(row["value"]) for row in rows], limits))
    return found


def volume(one: Series) -> Scores:
    """Finance-monitor's own anomaly scores, 1 - p."""
    detector = Volume(STEP)
    pairs = zip(one.times, one.counts, strict=True)
    return np.array([1.0 - detector.take(time, count).p_value for time, count in pairs])


def gaussian(one: Series) -> Scores:
    """Anomaly scores by the tail of a Gaussian with mean and deviation of the 6,400 counts before, which move on by 100
    at a time (NAB: nab/detectors/gaussian/windowedGaussian_detector.py)."""
    counts = np.asarray(one.counts, dtype=float)
    step = np.arange(len(counts))
    moved = GAUSSIAN_WINDOW + (step - GAUSSIAN_WINDOW) // GAUSSIAN_STEP * GAUSSIAN_STEP
    end = np.where(step <= GAUSSIAN_WINDOW, step, moved)
    scores = np.zeros(len(counts))
    for at in range(1, len(counts)):
        if end[at] != end[at - 1]:
            before = counts[max(0, end[at] - GAUSSIAN_WINDOW) : end[at]]
            mean, deviation = before.mean(), before.std() or 1e-6
        scores[at] = 1.0 - 0.5 * erfc(abs(counts[at] - mean) / deviation / np.sqrt(2.0))
    return scores


def held_out(scores: Sequence[Scores], worths: Sequence[Worth]) -> float:
    """The standard score where each series is judged by the threshold that is best for all others."""
    profile = PROFILES["standard"]
    total = 0.0
    for left in range(len(scores)):
        others = [number for number in range(len(scores)) if number != left]
        _, threshold = Curve(
            [scores[number] for number in others], [worths[number] for number in others], profile
        ).best()
        total += Curve([scores[left]], [worths[left]], profile).at(threshold) * worths[left].windows
    return total / sum(worth.windows for worth in worths)
