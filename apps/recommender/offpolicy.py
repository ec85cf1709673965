"""Off-policy: what another way of ranking would have earned, from lists that this one showed and their propensities.

A row is a choice: an item put at a place of a list. Its importance is how much likelier the target policy was to make
it than the logging policy; where propensities are of choices one after the other (`chained`), a choice counts with all
that were made above it, which is exact where users read from the top (McInerney et al. 2020, arXiv 2007.12986).

IPS is unbiased where the logging policy may show whatever the target does (Horvitz & Thompson 1952); SNIPS divides by
the weights' own mean, less unbiased and calmer (Swaminathan & Joachims 2015); DR adds weighted errors to a model of the
reward, and needs only one of both to be right (Dudík et al. 2011, arXiv 1103.4601).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender.candidates import Floats
from engine.errors import InputError

NEEDED = ("list_id", "user_id", "position", "propensity", "target", "reward")
FEWEST = 30
"""Users from which an interval by the normal law is worth printing."""


@dataclass(frozen=True)
class Estimate:
    """Reward of a list under the target policy.

    Attributes:
        value, low, high: with its 95% interval, over users.
        effective: lists that would say as much were all weights equal (Kish 1965).
        mean_weight: near 1 where the logging policy can show what the target does.
    """

    value: float
    low: float
    high: float
    lists: int
    users: int
    effective: float
    mean_weight: float


@dataclass(frozen=True)
class Log:
    """Choices that were logged, checked.

    Attributes:
        frame: list_id, user_id, position, propensity (that the logging policy made this choice), target (that the
            target policy makes it), reward; for DR also `predicted` (reward of the shown item by a model) and
            `expected` (of what the target policy would put there, by the same model).
        chained: propensities are of one choice after the other, each given those above.
    """

    frame: pd.DataFrame
    chained: bool = False

    def __post_init__(self) -> None:
        if missing := [name for name in NEEDED if name not in self.frame]:
            raise InputError(f"the log has no column '{missing[0]}'; it needs {', '.join(NEEDED)}")
        for name in [name for name in (*NEEDED[2:], "predicted", "expected") if name in self.frame]:
            values = self.frame[name].to_numpy(np.float64)
            bad = ~np.isfinite(values)
            wish = "a finite number"
            if name in ("propensity", "target"):
                bad |= (values > 1) | ((values <= 0) if name == "propensity" else (values < 0))
                wish = "a probability" + (
                    " over 0: an item that is never shown teaches nothing" * (name == "propensity")
                )
            if bad.any():
                row = int(bad.argmax())
                raise InputError(f"the log, row {row + 1}, field '{name}': {values[row]:g}; give {wish}")
        if self.frame.duplicated(["list_id", "position"]).any():
            raise InputError("the log has two choices at one place of a list; keep the one that was shown")
        if self.frame["user_id"].nunique() < FEWEST:
            users = self.frame["user_id"].nunique()
            raise InputError(f"the log is of {users} users; an interval takes {FEWEST}, log more")
        ordered = self.frame.sort_values(["list_id", "position"], kind="stable", ignore_index=True)
        object.__setattr__(self, "frame", ordered)

    @cached_property
    def lists(self) -> NDArray[np.int64]:
        """List of each row, numbered from 0."""
        return np.asarray(pd.factorize(self.frame["list_id"])[0], dtype=np.int64)

    @cached_property
    def users(self) -> NDArray[np.int64]:
        """User of each list, numbered from 0."""
        of_row = np.asarray(pd.factorize(self.frame["user_id"])[0], dtype=np.int64)
        return of_row[np.r_[True, np.diff(self.lists) > 0]]

    @cached_property
    def weights(self) -> Floats:
        """Importance of each choice, shape (rows,)."""
        ratio = self.column("target") / self.column("propensity")
        if not self.chained:
            return ratio
        return np.asarray(pd.Series(ratio).groupby(self.lists).cumprod(), dtype=np.float64)

    @cached_property
    def above(self) -> Floats:
        """Importance of what stands above each choice: 1 at the top, and where choices are not chained."""
        if not self.chained:
            return np.ones(len(self.frame))
        return np.asarray(pd.Series(self.weights).groupby(self.lists).shift(1, fill_value=1.0), dtype=np.float64)

    def column(self, name: str) -> Floats:
        found: Floats = self.frame[name].to_numpy(np.float64)
        return found

    def a_list(self, values: Floats) -> Floats:
        """Sum of the rows' values in each list."""
        found: Floats = np.bincount(self.lists, values, len(self.users)).astype(np.float64)
        return found

    def estimate(self, of_list: Floats, influence: Floats) -> Estimate:
        """The mean of `of_list`, its interval by the normal law from `influence`, lists of a user taken together.

        Args:
            of_list: shape (lists,); its mean is the value.
            influence: how far each list moves the value, shape (lists,), mean 0.
        """
        value, lists = float(of_list.mean()), len(of_list)
        of_user = np.bincount(self.users, weights=influence)
        users = len(of_user)
        error = float(np.sqrt(np.square(of_user).sum() * users / max(1, users - 1)) / lists)
        edge = quantile(users)
        last = self.weights[np.r_[np.diff(self.lists) > 0, True]] if self.chained else self.weights
        effective = float(last.sum() ** 2 / max(np.square(last).sum(), np.finfo(float).tiny))
        effective *= lists / len(last)
        return Estimate(
            value, value - edge * error, value + edge * error, lists, users, effective, float(self.weights.mean())
        )


def ips(log: Log) -> Estimate:
    """Inverse propensity score: every reward counts as often as the target policy would earn it."""
    of_list = log.a_list(log.weights * log.column("reward"))
    return log.estimate(of_list, of_list - of_list.mean())


def snips(log: Log) -> Estimate:
    """Self-normalised: at each place of a list the weights are divided by their mean; the interval by the delta method.

    Raises:
        InputError: the target policy makes none of the choices at a place that were logged there.
    """
    places, weights, reward = (
        np.unique(log.frame["position"], return_inverse=True)[1],
        log.weights,
        log.column("reward"),
    )
    total = np.bincount(places, weights=weights)
    if (total == 0).any():
        place = log.frame["position"].to_numpy()[int(np.flatnonzero((total == 0)[places])[0])]
        raise InputError(f"the target policy makes no choice that was logged at place {place}; nothing can be told")
    mean = np.bincount(places, weights=weights * reward) / total
    # A place that few lists have counts for as many lists as it stands in.
    scale = np.bincount(places) / total
    influence = log.a_list(weights * (reward - mean[places]) * scale[places])
    there = np.bincount(places) / len(log.users)
    value = float((mean * there).sum())
    varying = log.a_list(mean[places]) - value
    return log.estimate(np.full(len(log.users), value), influence + varying)


def doubly_robust(log: Log) -> Estimate:
    """A model's reward, corrected by its weighted errors.

    Raises:
        InputError: the log lacks the model's rewards.
    """
    if missing := [name for name in ("predicted", "expected") if name not in log.frame]:
        raise InputError(f"the log has no column '{missing[0]}'; doubly robust estimates need a model's rewards")
    error = log.column("reward") - log.column("predicted")
    of_list = log.a_list(log.above * log.column("expected") + log.weights * error)
    return log.estimate(of_list, of_list - of_list.mean())


def estimates(log: Log) -> dict[str, Estimate]:
    """IPS and SNIPS, and DR where the log has a model's rewards."""
    found = {"ips": ips(log), "snips": snips(log)}
    return {**found, "dr": doubly_robust(log)} if "predicted" in log.frame and "expected" in log.frame else found


def quantile(users: int) -> float:
    """Of Student's law at 97.5%, as the spread is estimated from so many users."""
    from scipy.stats import t

    found: Any = t.ppf(0.975, max(1, users - 1))
    return float(found)
