"""Bootstrap: how far a figure could have come out otherwise on test rows like these."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000


def bootstrap(
    metric: Callable[[NDArray[np.intp]], float], clusters: Sequence[object], *, level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """Figure over all rows and its percentile interval (Efron & Tibshirani 1993, ch. 13).

    Args:
        metric: a function of row numbers.
        clusters: for each row what it is drawn together with (a story's retellings are not independent);
            all different where rows are independent.

    Returns:
        (figure, low, high)
    """
    rows_of: dict[object, list[int]] = {}
    for row, cluster in enumerate(clusters):
        rows_of.setdefault(cluster, []).append(row)
    groups = [np.asarray(rows, dtype=np.intp) for rows in rows_of.values()]
    random = np.random.default_rng(seed)
    draws = [
        metric(np.concatenate([groups[number] for number in random.integers(len(groups), size=len(groups))]))
        for _ in range(RESAMPLES)
    ]
    edge = (1 - level) / 2
    low, high = np.quantile(draws, [edge, 1 - edge])
    return metric(np.arange(len(clusters), dtype=np.intp)), float(low), float(high)
