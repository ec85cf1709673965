"""Better: the mean of the heads' main figures on the golden rows, by the paired bootstrap.

Without a margin the challenger must be better: the 95% interval of the difference lies above zero (Efron & Tibshirani
1993, ch. 16; Koehn 2004, "Statistical significance tests for machine translation evaluation"). With one it must be no
worse: the interval lies above -margin (non-inferiority; Piaggio et al. 2012, CONSORT extension).

Rows of a label that the golden rows have none of are judged beside them: feedback that was kept from training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.decision import Gate
from engine.evaluate.intervals import Metric
from engine.gates.trial import Asked, Trial


def ask(trial: Trial) -> list[Gate]:
    everything = np.arange(len(trial.rows), dtype=np.intp)
    before, after = (_mean(trial, [(one, getattr(one, side)[one.main]) for one in trial.heads]) for side in SIDES)
    found = trial.difference(before, after, everything)
    margin = trial.settings.margin
    bound = 0.0 if margin is None else -margin
    wanted = "must lie above 0" if margin is None else f"must lie above {bound:g}"
    names = ", ".join(f"{one.main} of {one.head.name}" for one in trial.heads)
    new = f" and {len(trial.rows) - trial.golden} of new labels" if len(trial.rows) > trial.golden else ""
    note = (
        f"{names}{' on average' if len(trial.heads) > 1 else ''}: {before(everything):.3f} to {after(everything):.3f} "
        f"on {trial.golden} golden rows{new}; the interval of the difference {wanted}"
    )
    return [Gate("better", found.low > bound, found.value, bound, (found.low, found.high), note)]


SIDES = ("champion", "challenger")


def _mean(trial: Trial, metrics: list[tuple[Asked, Metric]]) -> Metric:
    """The mean over the heads of a figure, over rows of the trial; a head that none of them answers does not count."""
    places = []
    for asked, metric in metrics:
        place = np.full(len(trial.rows), -1, dtype=np.intp)
        place[asked.numbers] = np.arange(len(asked.numbers))
        places.append((place, metric))

    def mean(over: NDArray[np.intp]) -> float:
        found = [
            metric(own[own >= 0])
            for own, metric in ((place[over], metric) for place, metric in places)
            if (own >= 0).any()
        ]
        return float(np.mean(found)) if found else 0.0

    return mean
