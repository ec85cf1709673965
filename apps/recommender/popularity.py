"""Popularity: how often and how lately an item was taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apps.recommender.past import Floats, Ints, Past

NAMES = ("all", "recent", "trend", "place")
RATE = "rate"
"""The name of one more, where lists were shown."""
FADES = 14 * 86400.0
"""Seconds in which a recent event fades to 1/e."""
PLACES = 2.0
"""Where there are no times: the same in events of the user's own, counted from the end."""
SMOOTH = 2.0


@dataclass(frozen=True)
class Popularity:
    """Counts as they stood at the last event.

    Attributes:
        counts: events of each item, shape (items,).
        recent: the same, faded by age.
        place: mean place from the end of its users' histories.
        rate: see `Exposures.rates`; None where no lists were shown.
    """

    counts: Floats
    recent: Floats
    place: Floats
    rate: Floats | None = None

    @classmethod
    def fit(cls, past: Past, catalogue: int, rate: Floats | None = None) -> Popularity:
        timed = bool(len(past.times)) and not np.isnan(past.times).any()
        faded = np.exp((past.times - past.times.max()) / FADES) if timed else np.exp(-past.ages / PLACES)
        counts, recent, places = (
            np.asarray(np.bincount(past.items, weights, minlength=catalogue), np.float32)
            for weights in (None, faded, past.ages)
        )
        return cls(counts, recent, np.asarray(places / np.maximum(counts, 1.0), np.float32), rate)

    @property
    def names(self) -> tuple[str, ...]:
        return NAMES if self.rate is None else (*NAMES, RATE)

    def features(self, candidates: Ints) -> Floats:
        """`names` of each candidate, shape (candidates, names); an item newer than the counts was never taken."""
        at = np.minimum(candidates, len(self.counts) - 1)
        known = (candidates < len(self.counts)).astype(np.float32)
        counts, recent = self.counts[at] * known, self.recent[at] * known
        usual = float(self.recent.sum() / max(float(self.counts.sum()), 1.0))
        trend = (recent + SMOOTH * usual) / (counts + SMOOTH)
        columns = [np.log1p(counts), np.log1p(recent), trend, self.place[at] * known]
        if self.rate is not None:
            columns.append(np.where(known > 0, self.rate[at], 1.0))
        return np.column_stack(columns)

    def save(self, folder: Path) -> None:
        rate = np.zeros(0, np.float32) if self.rate is None else self.rate
        np.savez(folder / "popularity.npz", counts=self.counts, recent=self.recent, place=self.place, rate=rate)

    @classmethod
    def load(cls, folder: Path) -> Popularity:
        with np.load(folder / "popularity.npz") as found:
            return cls(found["counts"], found["recent"], found["place"], found[RATE] if found[RATE].size else None)
