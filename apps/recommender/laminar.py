"""Laminar: the best choice of rows under bounds whose sets nest or lie apart, found by greed.

The choices of one size that keep such bounds are the bases of a matroid (a laminar one, cut to lower bounds), so that
taking rows from the best on, each that leaves a way to keep all bounds, gives the greatest sum (Edmonds 1971).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Bound:
    """At least `low`, at most `high` of the rows of a set, shape (rows,)."""

    rows: NDArray[np.bool_]
    low: int
    high: int


def nested(sets: NDArray[np.bool_]) -> bool:
    """Whether any two of the sets, shape (sets, rows), are one within the other or apart."""
    numbers = sets.astype(np.float32)
    common = numbers @ numbers.T
    sizes = numbers.sum(axis=1)
    return bool(((common == 0) | (common == np.minimum(sizes[:, None], sizes[None, :]))).all())


def best(order: NDArray[np.int64], bounds: Sequence[Bound], k: int) -> NDArray[np.int64] | None:
    """The rows, at most k and as many as the bounds let in, with the greatest sum of scores; None where no choice
    keeps the bounds.

    Args:
        order: the rows that may be taken, best first.
        bounds: whose sets, of the rows that may be taken, are `nested`.
    """
    if not bounds:
        return order[:k]
    # The whole comes first, then larger sets before those within them; each node hangs below the last that holds it.
    whole = np.ones(len(bounds[0].rows), bool)
    nodes = [Bound(whole, 0, k), *sorted(bounds, key=lambda bound: -int(bound.rows[order].sum()))]
    deepest = np.zeros(len(whole), np.int64)
    parents = [-1]
    for number, node in enumerate(nodes[1:], 1):
        mine = order[node.rows[order]]
        parents.append(int(deepest[mine[0]]) if len(mine) else 0)
        deepest[mine] = number
    most = np.bincount(deepest[order], minlength=len(nodes)).tolist()
    least = [0] * len(nodes)
    for number in range(len(nodes) - 1, -1, -1):
        node = nodes[number]
        most[number] = min(most[number], node.high)
        least[number] = max(least[number], node.low)
        if least[number] > most[number]:
            return None
        if number:
            most[parents[number]] += most[number]
            least[parents[number]] += least[number]
    return _greedy(order.tolist(), nodes, parents, deepest.tolist(), most)


def _greedy(
    order: list[int], nodes: list[Bound], parents: list[int], deepest: list[int], most: list[int]
) -> NDArray[np.int64]:
    """Rows taken best first, each that leaves no node with more to take than it may.

    A node must hold at least what was taken of it directly and what its children must, or its own lower bound.
    """
    lows = [node.low for node in nodes]
    lows[0] = most[0]
    held = [0] * len(nodes)
    for number in range(len(nodes) - 1, 0, -1):
        held[parents[number]] += max(held[number], lows[number])
    taken = []
    for row in order:
        path, number = [], deepest[row]
        while number >= 0:
            path.append(number)
            if held[number] + 1 > most[number]:
                break
            if held[number] < lows[number]:  # it takes a place that was kept for such a row
                number = -1
                break
            number = parents[number]
        if number == -1:
            for at in path:
                held[at] += 1
            taken.append(row)
            if len(taken) == most[0]:
                break
    return np.array(taken, dtype=np.int64)
