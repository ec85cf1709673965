"""Temperature: each head's, from losses that the clients sum over their own calibration rows.

The rows stay where they are: a client says what its loss would be at each temperature of a grid, and the sums' least is
the temperature that pooled rows would have given, to the grid's fineness.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.errors import DataError
from engine.evaluate.calibration import COLDEST, HOTTEST
from engine.federate.messages import EvaluateRes
from engine.tasks.heads import HeadSpec
from engine.tasks.task import LEAST_CALIBRATION

STEPS = 121
"""Temperatures asked about: each is 5% above the one before."""
GRID = tuple(float(value) for value in np.geomspace(COLDEST, HOTTEST, STEPS))


def temperatures(heads: Sequence[HeadSpec], answers: Sequence[EvaluateRes]) -> dict[str, float]:
    """Head -> temperature of the least summed loss, between the grid's points by a parabola.

    Raises:
        DataError: a head has too few calibration rows over all clients.
    """
    found = {}
    for head in heads:
        told = [answer.metrics for answer in answers if f"{head.name} rows" in answer.metrics]
        rows = sum(int(metrics[f"{head.name} rows"]) for metrics in told)
        if rows < LEAST_CALIBRATION:
            raise DataError(
                f"head {head.name}: {rows} calibration rows over all clients, needs {LEAST_CALIBRATION}; raise "
                "data.split.calibration"
            )
        sums = np.array([sum(float(metrics[f"{head.name} {place}"]) for metrics in told) for place in range(STEPS)])
        found[head.name] = _least(sums)
    return found


def _least(sums: np.ndarray) -> float:
    place = int(sums.argmin())
    if place in (0, STEPS - 1):
        return GRID[place]
    left, middle, right = sums[place - 1 : place + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
    return float(GRID[place] * (GRID[1] / GRID[0]) ** shift)
