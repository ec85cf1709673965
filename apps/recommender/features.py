"""Features: one row of numbers a candidate, each with the moment up to which it knows the world."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender import behaviour, sequence, text
from apps.recommender.behaviour import MET, Behaviour
from apps.recommender.catalogue import Catalogue
from apps.recommender.next_item import Reader
from apps.recommender.past import Floats, Ints, Met, Past
from apps.recommender.popularity import Popularity
from apps.recommender.text import TextModel

PARTS = ("popularity", "catalogue", "behaviour", "text", "sequence")


@dataclass(frozen=True)
class Feature:
    name: str
    """PART.NAME"""
    as_of: float | None
    """Seconds since 1970 of the newest event that it was fitted on; None: it has no time, or knows no other user."""


@dataclass(frozen=True)
class Features:
    """The parts that look at a candidate. Popularity and behaviour are of one moment, `as_of`; text and sequence may be
    of an earlier one."""

    catalogue: Catalogue
    popularity: Popularity
    behaviour: Behaviour
    text: TextModel
    sequence: Reader | None
    as_of: float | None
    learnt_as_of: float | None
    """Of text and sequence."""

    @property
    def all(self) -> tuple[Feature, ...]:
        """In the order of the matrix's columns."""
        names: dict[str, tuple[tuple[str, ...], float | None]] = {
            "popularity": (self.popularity.names, self.as_of),
            "catalogue": (self.catalogue.names, None),
            "behaviour": (behaviour.NAMES, self.as_of),
            "text": (text.NAMES, self.learnt_as_of),
            "sequence": (("next",) if self.sequence else (), self.learnt_as_of),
        }
        return tuple(Feature(f"{part}.{name}", as_of) for part, (found, as_of) in names.items() for name in found)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.all)

    def matrix(
        self,
        past: Past,
        owners: NDArray[Any],
        candidates: Ints,
        as_of: NDArray[np.float64] | None = None,
        *,
        batch: int = 1,
    ) -> Floats:
        """A row for each candidate, shape (candidates, features).

        Args:
            past: the users' histories; `owners`: which of them each candidate is weighed for.
            as_of: seconds since 1970 at which each candidate is shown; None: its age is missing.
            batch: histories that are read together; see `next_item.Reader.scores`.
        """
        met = Met.of(past, owners, candidates, MET)
        columns = [
            self.popularity.features(candidates),
            self.catalogue.features(past, owners, candidates, met, as_of),
            self.behaviour.features(past, owners, candidates, met),
            self.text.features(past, owners, candidates, met, batch=batch),
        ]
        if self.sequence:
            columns.append(self.sequence.scores(past, owners, candidates, batch=batch)[:, None])
        return np.hstack(columns).astype(np.float32)

    def frame(self, past: Past, owners: NDArray[Any], candidates: Ints, as_of: Any = None) -> pd.DataFrame:
        """As `matrix`, its columns named."""
        return pd.DataFrame(self.matrix(past, owners, candidates, as_of), columns=list(self.names))

    def refitted(self, past: Past, as_of: float | None, *, seed: int, rate: Floats | None = None) -> Features:
        """With popularity and behaviour of a later moment; the rates of what was shown stay where none are given."""
        count = len(self.catalogue.items)
        return replace(
            self,
            popularity=Popularity.fit(past, count, self.popularity.rate if rate is None else rate),
            behaviour=Behaviour.fit(past, count, seed=seed),
            as_of=as_of,
        )

    def grown(self, catalogue: Catalogue) -> Features:
        """With items added: known by their texts and fields, met by nobody yet; what columns serve stays as it was."""
        catalogue = Catalogue(catalogue.items, self.catalogue.columns)
        grown = self.text.grown(catalogue.items.texts())
        reader = sequence.grown(self.sequence, grown.vectors) if self.sequence else None
        return replace(self, catalogue=catalogue, text=grown, sequence=reader)
