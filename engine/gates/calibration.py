"""Calibration: how far each head's expected calibration error may rise on the golden rows (Guo et al. 2017, arXiv
1706.04599; 15 equal-width bins of the top label), unless chance would explain it.

It rises when the point lies above the bound and the 95% interval of the difference above zero: on a few hundred rows
the error of one and the same model moves by more than most bounds.
"""

from __future__ import annotations

import numpy as np

from engine.decision import Gate
from engine.gates.trial import Trial


def ask(trial: Trial) -> list[Gate]:
    bound, found = trial.settings.calibration, []
    for one in trial.heads:
        if "ece" not in one.champion:
            continue
        difference = trial.difference(one.champion["ece"], one.challenger["ece"], one.numbers)
        every = np.arange(len(one.rows), dtype=np.intp)
        before, after = one.champion["ece"](every), one.challenger["ece"](every)
        told = f"calibration error {before:.3f} to {after:.3f} on {len(every)} rows"
        note = f"{one.head.name}: {told}; may rise by {bound:g}"
        found.append(
            Gate("calibration", difference.value <= bound or difference.low <= 0, difference.value, bound,
                 (difference.low, difference.high), note)
        )  # fmt: skip
    return found
