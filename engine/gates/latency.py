"""Latency: the median over golden texts of the challenger's time over the champion's, each text asked of both one after
the other, in turn the one and the other first: what else the machine does meets both.

It is too slow when the 95% interval of that median (bootstrap over the texts) lies above the bound.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.decision import Gate
from engine.evaluate.intervals import bootstrap
from engine.gates.trial import Trial
from engine.predictor import Predictor, Text
from engine.speed import WARM_UP, latencies

TEXTS = 200
"""Golden texts that are timed."""


def ask(trial: Trial) -> list[Gate]:
    sides = trial.champion.predictor, trial.challenger.predictor
    texts = trial.texts[:TEXTS]
    for side in sides:
        latencies(side, texts[:WARM_UP])
    times = np.array([_both(*sides, text, first=number % 2) for number, text in enumerate(texts)])
    ratios: NDArray[np.float64] = times[:, 1] / times[:, 0]
    figure, low, high = bootstrap(lambda over: float(np.median(ratios[over])), range(len(texts)))
    bound, (before, after) = trial.settings.latency, np.median(times, 0)
    note = f"median {before:.2f} ms to {after:.2f} ms a text; may take {bound:g} times as long"
    return [Gate("latency", low <= bound, figure, bound, (low, high), note)]


def _both(champion: Predictor, challenger: Predictor, text: Text, *, first: int) -> tuple[float, float]:
    """Milliseconds of both."""
    if first == 0:
        before = latencies(champion, [text])
        return before[0], latencies(challenger, [text])[0]
    after = latencies(challenger, [text])
    return latencies(champion, [text])[0], after[0]
