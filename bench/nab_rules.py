"""NAB's rules of scoring: what detections are worth, and the one threshold over all series that is worth most.

Lavin and Ahmad, Evaluating Real-Time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark (ICMLA 2015), as the
benchmark's own code has it (github.com/numenta/NAB: nab/sweeper.py, nab/optimizer.py, nab/runner.py,
config/profiles.json):

- A step is detected where its anomaly score is at least the threshold. The first 15% of a series, of 5,000 steps at
  most, are not judged.
- A window earns once, for its first detection, up to 1 at its start; missed, it costs `miss`.
- Each detection outside costs up to `false_positive`, less right behind a window.
- A profile's score is 0 for no detection at all, and 1 (NAB: 100) for every window found at its start and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]

PROBATION, PROBATION_STEPS = 0.15, 5000


@dataclass(frozen=True)
class Profile:
    """What errors cost, where a window found at once earns 1."""

    miss: float
    false_positive: float


PROFILES = {
    "standard": Profile(1.0, 0.11),
    "reward_low_FP_rate": Profile(1.0, 0.22),
    "reward_low_FN_rate": Profile(2.0, 0.11),
}


class Worth:
    """What a detection at each judged step of a series is worth.

    Attributes:
        judged: the steps, ascending.
        gain: of the first detection in a window, at most 1; outside, at least -1.
        window: number of the step's window; -1 outside.

    Args:
        windows: first and last step of each, in order, none of them in the probation.
    """

    def __init__(self, steps: int, windows: Sequence[tuple[int, int]]) -> None:
        place = np.full(steps, 3.0)
        window = np.full(steps, -1)
        for number, (first, last) in enumerate(windows):
            width = last - first + 1
            place[last + 1 :] = (np.arange(last + 1, steps) - last) / (width - 1)
            place[first : last + 1] = (np.arange(first, last + 1) - last - 1) / width
            window[first : last + 1] = number
        gain = np.where(window >= 0, sigmoid(place) / sigmoid(-1.0), sigmoid(place))
        probation = min(math.floor(PROBATION * steps), PROBATION * PROBATION_STEPS)
        self.judged = np.arange(math.ceil(probation), steps)
        self.gain: Scores = gain[self.judged]
        self.window = window[self.judged]
        self.windows = len(windows)


def sigmoid(place: npt.ArrayLike) -> Scores:
    """1 well before a window's end (its start is at -1), 0 there, -1 well behind it."""
    at = np.minimum(np.asarray(place, dtype=float), 3.0)
    return np.where(at >= 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * at)) - 1.0)


class Curve:
    """The score over all series by threshold.

    Args:
        scores: anomaly scores of each series, all its steps.
    """

    def __init__(self, scores: Sequence[Scores], worths: Sequence[Worth], profile: Profile) -> None:
        score = np.concatenate([one[worth.judged] for one, worth in zip(scores, worths, strict=True)])
        change = np.concatenate([_changes(one, worth, profile) for one, worth in zip(scores, worths, strict=True)])
        order = np.argsort(-score, kind="stable")
        total = np.concatenate([[0.0], np.cumsum(change[order])])
        ends = np.concatenate([[0], np.flatnonzero(np.diff(score[order])) + 1, [len(score)]])
        self.thresholds = np.concatenate([[np.inf], score[order][ends[1:] - 1]])
        """Descending; the first detects nothing."""
        perfect = (1.0 + profile.miss) * sum(worth.windows for worth in worths)
        self.scores = total[ends] / perfect

    def best(self) -> tuple[float, float]:
        """The greatest score, and the highest threshold that gives it."""
        at = int(np.argmax(self.scores))
        return float(self.scores[at]), float(self.thresholds[at])

    def at(self, threshold: float) -> float:
        """The score where all steps of this anomaly score or a larger one are detected."""
        return float(self.scores[np.searchsorted(-self.thresholds, -threshold, side="right") - 1])


def _changes(scores: Scores, worth: Worth, profile: Profile) -> Scores:
    """What each judged step adds to the total of a series, when the threshold comes down to it."""
    change = profile.false_positive * worth.gain
    order = np.argsort(-scores[worth.judged], kind="stable")
    for number in range(worth.windows):
        steps = order[worth.window[order] == number]
        reached = np.maximum.accumulate(np.concatenate([[-profile.miss], worth.gain[steps]]))
        change[steps] = np.diff(reached)
    return change
