"""NAB's counts of tweets: the volume detector against the windowed Gaussian, by NAB's own rules."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]

PROBATION = 0.15
"""Share of a series that no detector is judged on, of 5,000 steps at most."""


@dataclass(frozen=True)
class Profile:
    """What a missed window and a false positive cost, where a window found at once earns 1 (config/profiles.json)."""

    miss: float
    false_positive: float


PROFILES = {
    "standard": Profile(1.0, 0.11),
    "reward_low_FP_rate": Profile(1.0, 0.22),
    "reward_low_FN_rate": Profile(2.0, 0.11),
}


@dataclass(frozen=True)
class Series:
    name: str
    times: list[datetime]
    counts: list[int]
    windows: list[tuple[int, int]]
    """First and last step of each anomaly window, in order."""


def series(folder: Path) -> list[Series]:
    """All series of a folder that windows.json names."""
    named = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    found = []
    for name, windows in sorted(named.items()):
        with (folder / name).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        times = [datetime.fromisoformat(row["timestamp"]) for row in rows]
        at = {time: step for step, time in enumerate(times)}
        found.append(
            Series(
                Path(name).stem.removeprefix("Twitter_volume_"),
                times,
                [int(row["value"]) for row in rows],
                sorted((at[datetime.fromisoformat(a)], at[datetime.fromisoformat(b)]) for a, b in windows),
            )
        )
    return found


def sigmoid(position: npt.ArrayLike) -> Scores:
    """Worth of a detection: +1 well before a window's end (-1 is its start), 0 at the end, -1 well behind it."""
    place = np.asarray(position, dtype=float)
    return np.where(place >= 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(place, 3.0))) - 1.0)


@dataclass(frozen=True)
class Worth:
    """What a detection at each step that is judged would be worth in a series."""

    judged: npt.NDArray[np.int64]
    gain: Scores
    """Of the window's first detection, at most 1; or of a false positive, at least -1."""
    window: npt.NDArray[np.int64]
    """Number of the step's window; -1 outside."""


def worth(steps: int, windows: Sequence[tuple[int, int]]) -> Worth:
    place = np.full(steps, 3.0)
    window = np.full(steps, -1)
    for number, (first, last) in enumerate(windows):
        width = last - first + 1
        place[last + 1 :] = (np.arange(last + 1, steps) - last) / (width - 1)
        place[first : last + 1] = (np.arange(first, last + 1) - last - 1) / width
        window[first : last + 1] = number
    gain = np.where(window >= 0, sigmoid(place) / sigmoid(-1.0), sigmoid(place))
    judged = np.arange(math.ceil(min(math.floor(PROBATION * steps), PROBATION * 5000)), steps)
    return Worth(judged, gain[judged], window[judged])


@dataclass(frozen=True)
class Best:
    """The threshold of most worth, over all series, and the score there: 0 for no detection at all, 100 for all
    windows at once and nothing else."""

    score: float
    threshold: float


def best(scores: Sequence[Scores], worths: Sequence[Worth], profile: Profile) -> Best:
    """The score of a detector whose anomaly scores these are, each of a series."""
    score = np.concatenate([one[where.judged] for one, where in zip(scores, worths, strict=True)])
    change = profile.false_positive * np.concatenate([where.gain for where in worths])
    order = np.argsort(-score, kind="stable")
    offset = 0
    position = np.empty(len(score), dtype=int)
    position[order] = np.arange(len(score))
    count = 0
    for where in worths:
        for number in range(where.window.max() + 1):
            own = np.flatnonzero(where.window == number) + offset
            own = own[np.argsort(position[own])]
            gain = where.gain[own - offset]
            reached = np.maximum.accumulate(np.concatenate([[-profile.miss], gain]))
            change[own] = np.diff(reached)
            count += 1
        offset += len(where.judged)
    total = -profile.miss * count + np.concatenate([[0.0], np.cumsum(change[order])])
    ordered = score[order]
    ends = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1, [len(ordered)]])
    at = ends[np.argmax(total[ends])]
    null = -profile.miss * count
    return Best(
        float(100.0 * (total[at] - null) / (count - null)), float(ordered[at - 1]) if at else math.inf
    )
