"""Negatives: texts near an anchor that do not belong to it; they teach more than texts taken at random.

A near text may belong to it without anyone having said so. The higher its cosine beside that of the true partner, the
likelier: what comes within a margin of it is left out (Moreira et al. 2024, NV-Retriever, arXiv 2407.15831).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHUNK = 256
"""Anchors whose cosines with all candidates are held at once."""


@dataclass(frozen=True)
class Mined:
    negatives: list[NDArray[np.intp]]
    """Numbers of each anchor's candidates, nearest first."""
    left_out: int
    """Candidates within the margin, over all anchors."""

    def __str__(self) -> str:
        count, none = sum(map(len, self.negatives)), sum(not len(of) for of in self.negatives)
        return (
            f"{count:,} hard negatives for {len(self.negatives):,} pairs ({none:,} found none), "
            f"{self.left_out:,} left out as too near to be sure"
        )


def mine(
    anchors: NDArray[np.floating],
    candidates: NDArray[np.floating],
    partners: NDArray[np.intp],
    belongs: Sequence[NDArray[np.intp]],
    *,
    count: int,
    margin: float,
) -> Mined:
    """The nearest candidates of each anchor that are no partner of it and not within the margin.

    Args:
        anchors, candidates: unit vectors, shapes (anchors, width) and (candidates, width).
        partners: number of each anchor's true partner among the candidates.
        belongs: numbers of all candidates that belong to each anchor; they are never taken.
        count: how many to take, at most.
        margin: a candidate's cosine must lie this far below the true partner's.
    """
    count = min(count, len(candidates))
    negatives, left_out = [], 0
    for start in range(0, len(anchors), CHUNK):
        for row, cosines in enumerate(anchors[start : start + CHUNK] @ candidates.T, start):
            limit = cosines[partners[row]] - margin
            cosines[belongs[row]] = -np.inf
            near = cosines > limit
            left_out += int(near.sum())
            cosines[near] = -np.inf
            best = np.argpartition(-cosines, count - 1)[:count]
            best = best[np.argsort(-cosines[best], kind="stable")]
            negatives.append(best[np.isfinite(cosines[best])])
    return Mined(negatives, left_out)
