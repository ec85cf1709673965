"""World: every number of a simulated shop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.errors import InputError

END = datetime(2026, 3, 2, tzinfo=UTC)
"""Where every simulation ends; the catalogue's items were published in the 18 months before."""


@dataclass(frozen=True)
class World:
    """Every number of a simulated shop. Two equal worlds over one catalogue give the same bytes.

    Attributes:
        spread: standard deviation of a user's logits over the kinds of taste; the higher, the fewer kinds.
        persistence: what stays of those logits from one week to the next; 1 is no drift.
        own: standard deviation of what sets a user's logits over themes apart from those kinds; it does not drift.
        affinity: what an item one standard deviation nearer to a user's taste gains, in logits of a click.
        quality: standard deviation of what makes an item liked by all, and stands in no text.
        price: median of the users' sensitivities to log(price / median price of its category).
        freshness: what an item gains on its first day; it fades by e in 30 days.
        attention: exponent of position bias; an item at position p is seen with probability p^-attention.
        click: intercept of a click's logit, given that the item is seen.
        chain: for each event after a click its intercept and slope.
        lists: median number of lists a user is shown a week.
        candidates: how many a list is chosen from.
        shown: how many it has.
        retrieval: weight of taste in which candidates a list has.
        popularity: weight of log(1 + recent clicks) in the logging policy.
    """

    users: int = 800
    weeks: int = 12
    seed: int = 13
    spread: float = 4.0
    persistence: float = 0.998
    own: float = 0.2
    affinity: float = 1.0
    quality: float = 0.5
    price: float = 0.3
    freshness: float = 0.4
    attention: float = 0.5
    click: float = -2.6
    chain: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {"comment": (-3.0, 0.5), "share": (-3.5, 0.6), "purchase": (-4.0, 0.7)}
    )
    lists: float = 4.0
    candidates: int = 40
    shown: int = 10
    retrieval: float = 0.5
    popularity: float = 0.7

    def __post_init__(self) -> None:
        for name in ("users", "weeks", "shown", "candidates"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; a simulation needs at least one")
        if self.shown > self.candidates:
            raise InputError(f"shown is {self.shown}, over {self.candidates} candidates; raise candidates")
        if not 0 <= self.persistence <= 1:
            raise InputError(f"persistence is {self.persistence}; it is a share, from 0 to 1")

    @classmethod
    def read(cls, folder: Path) -> World:
        """The world that `recommender simulate --out FOLDER` wrote.

        Raises:
            InputError: the folder has no world.json.
        """
        path = folder / "world.json"
        if not path.is_file():
            raise InputError(f"{path}: no such file; make the folder by: recommender simulate --out {folder}")
        given = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**given, "chain": {event: tuple(line) for event, line in given["chain"].items()}})

    @property
    def start(self) -> datetime:
        return END - timedelta(weeks=self.weeks)
