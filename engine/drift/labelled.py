"""Labelled: how right a version's answers turned out where people said so, against its test rows.

People speak up about what is wrong more than about what is right, so an accuracy of corrections is a low one; it is
drift only where its interval lies below that of the test rows. ECE of few rows is high without any fault: what a
well-calibrated model would have is drawn from its own probabilities (consistency resampling, Broecker & Smith 2007).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.drift.measure import ALPHA
from engine.drift.reference import Quality
from engine.evaluate.calibration import ece
from engine.evaluate.intervals import wilson
from engine.feedback import Feedback

LEAST = 30
"""Labelled answers from which on they are judged."""
DRAWS = 1000
WORSE = 0.05
"""How much higher than on the test rows the calibration error must be."""


@dataclass(frozen=True)
class Labelled:
    """Of one single-label head."""

    head: str
    rows: int
    accuracy: float
    interval: tuple[float, float]
    """95%, Wilson 1927."""
    tested: float
    """Accuracy on the test rows."""
    tested_interval: tuple[float, float]
    ece: float
    ece_noise: float
    """What a well-calibrated model's error stays below, but for 1 time in 100, on so many answers."""
    ece_tested: float

    @property
    def drifted(self) -> bool:
        """Less right, or less well calibrated, than chance would have it."""
        if self.rows < LEAST:
            return False
        calibration = self.ece > self.ece_noise and self.ece - self.ece_tested >= WORSE
        return self.interval[1] < self.tested_interval[0] or calibration


def labelled(feedback: Iterable[Feedback], quality: Mapping[str, Quality], *, seed: int = 0) -> list[Labelled]:
    """Of each head that has both feedback and test rows."""
    said: dict[str, list[tuple[float, bool]]] = {}
    for one in feedback:
        for head, answer in _judged(one):
            said.setdefault(head, []).append(answer)
    found = []
    for head, answers in sorted(said.items()):
        if (test := quality.get(head)) is None:
            continue
        sure = np.array([probability for probability, _ in answers])
        right = np.array([correct for _, correct in answers])
        random = np.random.default_rng(seed)
        drawn = [ece(sure, random.random(len(sure)) < sure) for _ in range(DRAWS)]
        found.append(
            Labelled(
                head,
                len(answers),
                float(right.mean()),
                wilson(int(right.sum()), len(right)),
                test.right / test.rows,
                wilson(test.right, test.rows),
                ece(sure, right),
                float(np.quantile(drawn, 1 - ALPHA)),
                test.ece,
            )
        )
    return found


def _judged(one: Feedback) -> list[tuple[str, tuple[float, bool]]]:
    """Head -> the answer's probability and whether it was right, where this feedback says so."""
    answers = {
        head: answer
        for head, answer in one.said.items()
        if isinstance(answer, dict) and "label" in answer and "probability" in answer
    }
    found = []
    for head, answer in answers.items():
        if one.correction is not None and head in one.correction:
            right = one.correction[head] == answer["label"]
        elif one.verdict in (0.0, 1.0) and len(answers) == 1:  # of several heads a thumb says not which it means
            right = one.verdict == 1.0
        else:
            continue
        found.append((head, (float(answer["probability"]), bool(right))))
    return found
