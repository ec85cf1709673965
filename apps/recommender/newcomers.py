"""Newcomers: items that the booster is shown as if they had just been added, so that it learns how to rank new ones.

Nearly every item it learns from has been taken by somebody; without these it would have seen no item that nobody has
met, and would take "never taken" for "never wanted". A newcomer is the twin of a known item: the same text and fields,
met by nobody, made by the very road that `add_items` goes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apps.recommender.catalogue import Catalogue
from apps.recommender.features import Features
from apps.recommender.items import Items
from apps.recommender.past import Ints

MARK = "\x00new"


@dataclass(frozen=True)
class Newcomers:
    """Features of a catalogue with twins.

    Attributes:
        twins: the number of each item's twin; its own number where it has none. Shape (items,).
    """

    features: Features
    twins: Ints

    @classmethod
    def of(cls, features: Features, items: Items, *, share: float, seed: int) -> Newcomers:
        """A share of the items, drawn by the seed, get twins."""
        count = len(items)
        drawn = np.sort(np.random.default_rng(seed).permutation(count)[: round(share * count)])
        twins = np.arange(count, dtype=np.int32)
        twins[drawn] = count + np.arange(len(drawn))
        if not len(drawn):
            return cls(features, twins)
        copies = items.frame.iloc[drawn].copy()
        copies.index = copies.index + MARK
        return cls(features.grown(Catalogue(items.added(Items.of(copies)))), twins)
