"""Amazon Games where the target was hardly ever taken before: the whole against popularity and untuned text."""

from __future__ import annotations

from bench.contract import Figures
from bench.games import measured

SELDOM = 5


def run(*, seeds: int) -> Figures:
    """nDCG@10 of the lists whose target was taken at most `SELDOM` times in training."""
    found = measured(seeds)
    told = found.intervals(found.seen <= SELDOM)
    return Figures(
        {name: one.value for name, one in told.items()},
        {name: (one.low, one.high) for name, one in told.items()},
        {"seeds": seeds, "lists": int((found.seen <= SELDOM).sum()), "taken_at_most": SELDOM},
    )
