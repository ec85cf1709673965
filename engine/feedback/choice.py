"""Choice: which texts a person should label next: those that most is learnt from.

Doubtful are texts whose two best labels are nearly as probable (margin sampling: Scheffer, Decomain & Wrobel 2001),
and those over which raters, or champion and challenger, disagree. Those are taken that are doubtful and lie far from
each other (k-center, weighted by doubt: after Sener & Savarese 2018, "Active learning for convolutional neural
networks", ICLR), since ten doubtful texts that say the same teach little more than one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.feedback.neighbours import unit

By = Literal["all", "uncertainty", "disagreement", "diversity"]
Heads = Mapping[str, Mapping[str, float]]
"""Head -> label -> probability, of one text."""
LEAST = 0.01
"""Doubt that is granted to every text, so that those of no doubt still come in order of their distance."""


@dataclass(frozen=True)
class Candidate:
    uncertainty: float
    """0, sure, to 1."""
    disagreement: float
    """0, all say the same, to 1."""

    def doubt(self, by: By) -> float:
        """By "all" one of both is enough."""
        match by:
            case "uncertainty":
                return self.uncertainty
            case "disagreement":
                return self.disagreement
            case "diversity":
                return 0.0
        return 1.0 - (1.0 - self.uncertainty) * (1.0 - self.disagreement)


def choose(
    candidates: Sequence[Candidate], vectors: NDArray[np.float32], k: int, *, by: By = "all", seed: int = 13
) -> list[int]:
    """Places of at most `k` candidates, the first to label first.

    Args:
        vectors: shape (candidates, width).
        by: "uncertainty" and "disagreement" take the most doubtful; "diversity" those that lie far from each other;
            "all" those that are doubtful and do.
        seed: of the order among equals.
    """
    if k < 1:
        raise InputError(f"{k} texts to label: choose 1 or more")
    shuffled = np.random.default_rng(seed).permutation(len(candidates))
    order = sorted((int(at) for at in shuffled), key=lambda at: -candidates[at].doubt(by))
    if by in ("uncertainty", "disagreement") or not order:
        return order[:k]
    weights = np.array([1.0 if by == "diversity" else candidates[at].doubt(by) + LEAST for at in order])
    return [order[at] for at in _apart(unit(vectors)[order], weights, min(k, len(order)))]


def uncertainty(heads: Heads, multi_label: Mapping[str, bool]) -> float:
    """Of the most uncertain head: 1 less the margin between its two best labels, or, where it gives several, how near
    one of them is to being given or not."""
    found = 0.0
    for head, probabilities in heads.items():
        values = sorted(probabilities.values(), reverse=True)
        if multi_label.get(head):
            found = max(found, *(1.0 - abs(2.0 * value - 1.0) for value in values))
        elif len(values) > 1:
            found = max(found, 1.0 - (values[0] - values[1]))
    return found


def divergence(one: Heads, other: Heads) -> float:
    """How far two models are apart on a text: the largest Jensen-Shannon divergence of a head, in bits, 0 to 1."""
    found = 0.0
    for head in one.keys() & other.keys():
        labels = sorted(one[head].keys() | other[head].keys())
        p, q = (np.array([each[head].get(label, 0.0) for label in labels]) for each in (one, other))
        p, q = p / max(p.sum(), 1e-12), q / max(q.sum(), 1e-12)
        middle = (p + q) / 2
        bits = [np.sum(x[x > 0] * np.log2(x[x > 0] / middle[x > 0])) for x in (p, q)]
        found = max(found, float(np.clip(sum(bits) / 2, 0.0, 1.0)))
    return found


def _apart(vectors: NDArray[np.float32], weights: NDArray[np.float64], k: int) -> list[int]:
    """The first, then again and again the one with most weight times distance from all that were taken."""
    taken = [0]
    distance = 1.0 - vectors @ vectors[0]
    while len(taken) < k:
        distance[taken] = -1.0
        taken.append(int((weights * distance).argmax()))
        distance = np.minimum(distance, 1.0 - vectors @ vectors[taken[-1]])
    return taken
