"""Latency: the challenger's median time of a single text over the champion's, both timed in turn in this process, so
that what else the machine does meets both."""

from __future__ import annotations

import numpy as np

from engine import speed
from engine.decision import Gate
from engine.gates.trial import Trial

TEXTS = 100
"""Golden rows that are timed."""


def ask(trial: Trial) -> list[Gate]:
    sides = {"champion": trial.champion.predictor, "challenger": trial.challenger.predictor}
    _, singles = speed.timed(sides, trial.texts[:TEXTS])
    before, after = (float(np.median(singles[side])) for side in sides)
    bound = trial.settings.latency
    note = f"median {before:.2f} ms to {after:.2f} ms a text; may take {bound:g} times as long"
    return [Gate("latency", after / before <= bound, after / before, bound, None, note)]
