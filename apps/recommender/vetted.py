"""Vetted: what a logbook holds that may be learnt from; the rest is set aside, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from apps.recommender import fields
from apps.recommender.events import COLUMNS, Events
from apps.recommender.exposures import Exposures
from apps.recommender.items import Items
from apps.recommender.logbook import Entry, Logbook, Shown
from apps.recommender.ranker import Recommender
from engine.errors import InputError

OUTLYING = 3.5
"""Modified z score of a user's busiest day above which it is nobody's shopping (Iglewicz & Hoaglin 1993, p. 11)."""
FRANTIC = "of a user who did far more in a day than all others"
FEWEST_USERS = 20
"""Below so many users nobody can be told apart from the rest."""


@dataclass(frozen=True)
class Vetted:
    """Attributes:
    events: later than all that the recommender knows.
    items: the recommender's, and those that were told.
    exposures: lists that it answered; None: it answered none.
    learnt: ids of the entries that the events are.
    aside: id of an entry -> why it is not learnt from.
    """

    events: Events
    items: Items
    exposures: Exposures | None
    learnt: tuple[str, ...]
    aside: dict[str, str]

    @classmethod
    def of(cls, logbook: Logbook, recommender: Recommender) -> Vetted:
        """All that was told since the recommender's newest event.

        Raises:
            InputError: the recommender's events have no times, by which to tell what is new.
        """
        if not recommender.events.timed:
            raise InputError(
                f"{recommender.version} has learnt from events without times, so nothing tells what is new; train it "
                "anew: recommender train"
            )
        lists = {one.id: one for one in logbook.shown()}
        items = fields.settled(recommender.items)
        told: dict[str, dict[str, Any]] = {}
        aside: dict[str, str] = {}
        done: list[Entry] = []
        for _, entry in logbook.since(0):
            if entry.kind == "interaction":
                done.append(entry)
            elif entry.kind == "item":
                try:
                    told.setdefault(entry.subject, {}).update(fields.checked(entry.subject, entry.data, items))
                except InputError:
                    aside[entry.id] = "an item that does not fit the catalogue"
        items = items.added(fields.joined(told, items)) if told else recommender.items
        newest = recommender.events.frame["datetime"].max().to_pydatetime()
        kinds = frozenset(recommender.events.frame["event"].unique())
        new = [one for one in done if one.time > newest]
        known = items.numbers([one.data["item"] for one in new]) >= 0
        published = _published(items)
        kept = []
        for entry, there in zip(new, known.tolist(), strict=True):
            if reason := _fault(entry, there, kinds, lists, published):
                aside[entry.id] = reason
            else:
                kept.append(entry)
        frantic = _frantic(kept)
        aside |= {one.id: FRANTIC for one in kept if one.subject in frantic}
        kept = [one for one in kept if one.subject not in frantic]
        rows = [(one.subject, one.data["item"], one.data["event"], one.data["weight"], one.time) for one in kept]
        events = Events.of(pd.DataFrame(rows, columns=list(COLUMNS)))
        shown = pd.DataFrame(list(_rows(lists.values(), newest, frantic, published)), columns=_SHOWN)
        exposures = Exposures.of(shown) if len(shown) else None
        return cls(events, items, exposures, tuple(one.id for one in kept), aside)


_SHOWN = ["list_id", "user_id", "item_id", "position", "datetime"]


def _published(items: Items) -> dict[str, datetime]:
    """Item -> when, of those that tell it."""
    if "published" not in items.frame:
        return {}
    known = items.frame["published"].dropna()
    return dict(zip(known.index, known.dt.floor("us").dt.to_pydatetime(), strict=True))


def _fault(
    entry: Entry, there: bool, kinds: frozenset[str], lists: dict[str, Shown], published: dict[str, datetime]
) -> str | None:
    """Why an event teaches nothing; None: it may."""
    if entry.data["event"] not in kinds:
        return f"an event of the kind {entry.data['event']}, which the recommender does not know"
    if not there:
        return "of an item that is not in the catalogue"
    if entry.time < published.get(entry.data["item"], entry.time):
        return "of an item that was published later"
    if (named := entry.data["list"]) is not None:
        shown = lists.get(named)
        if shown is None or entry.data["item"] not in shown.items:
            return "it names a list that did not show the item"
        if shown.user != entry.subject:
            return "it names another user's list"
    return None


def _frantic(entries: list[Entry]) -> frozenset[str]:
    """Users with a day so busy that it is an outlier among all users' busiest days, by the modified z score of its
    logarithm."""
    if not entries:
        return frozenset()
    days = pd.DataFrame({"user": [one.subject for one in entries], "day": [one.time.date() for one in entries]})
    busiest: pd.Series[float] = np.log(days.value_counts().groupby("user").max())  # type: ignore[assignment]
    if len(busiest) < FEWEST_USERS:
        return frozenset()
    from_median = busiest - busiest.median()
    spread = max(float(from_median.abs().median()), float(np.log(2)) / 2)  # most do one thing a day: two are no outlier
    return frozenset(busiest.index[0.6745 * from_median / spread > OUTLYING])


def _rows(
    lists: Any, newest: datetime, frantic: frozenset[str], published: dict[str, datetime]
) -> Iterator[tuple[Any, ...]]:
    for shown in lists:
        if shown.time > newest and shown.user not in frantic:
            for position, item in enumerate(shown.items, 1):
                if published.get(item, shown.time) > shown.time:
                    continue
                yield shown.id, shown.user, item, position, shown.time
