"""Gate: the six kinds of leaks, looked for where they come in: in a training, and in an evaluation.

What Keel computes itself is held to its stamp and counted once more. What comes from outside, in the items' further
columns, is held to the moment it tells (NAME_as_of) and, where it tells none, to what happened later: a column that
orders the items just as the future does, and not as the past, was counted there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from apps.recommender import columns, leaks
from apps.recommender.candidates import Candidates, Floats
from apps.recommender.columns import Columns
from apps.recommender.events import Events
from apps.recommender.items import Items
from apps.recommender.leaks import Leak
from apps.recommender.past import Past, seconds
from apps.recommender.steps import Steps

if TYPE_CHECKING:
    from apps.recommender.features import Features

ALIKE = 0.999
"""Rank correlation from which a column was counted from events: an item's true popularity orders the items less well,
since what happens is chance."""
ITEMS, VALUES = 30, 5
"""Items, and different values of theirs, from which that can be told."""
OFTEN = 20
"""Most frequent categories of a column that are looked at one by one."""
BESIDE = 20
"""Items drawn evenly beside what was taken."""
COUNTS, USERS, MEAN = "events of an item", "users of an item", "the mean weight of an item's events"
OUT = "leave the column out, or give what it was before and say so in a column '{name}_as_of' beside it"


def given(items: Items, events: Events, steps: Steps) -> None:
    """Look at what is about to be learnt from, before any time is spent on it.

    Args:
        events: all of them, those of the steps among them.

    Raises:
        LeakError: it knows what came after the steps.
    """
    found = in_columns(items, steps.known, events)
    published = None
    if events.timed:
        found += leaks.stamped(items.stamps, _moment(steps.as_of.min()), OUT)
        found += in_steps(steps)
        found += taken_before_published(events, items)
        published = seconds(items.frame["published"]) if "published" in items.frame else None
    drawn = steps.candidates(len(items), BESIDE, published=published, seed=0)
    gains = np.zeros(drawn.shape)
    gains[:, -1] = 1.0
    offsets = np.arange(0, drawn.size + 1, drawn.shape[1], dtype=np.int64)
    lists = Candidates(steps.users.astype(str).astype(object), offsets, items.ids[drawn.ravel()], gains.ravel())
    leaks.refuse(found + labels_in_columns(items, lists, steps.known))


def computed(features: Features, steps: Steps) -> None:
    """Look at what was computed for the steps.

    Raises:
        LeakError: it was computed from more than came before them.
    """
    found = learnt_from_more(features, steps.known)
    if not np.isnan(steps.as_of).any():
        found += leaks.stamped(stamps(features), _moment(steps.as_of.min()))
    leaks.refuse(found)


def asked(features: Features, candidates: Candidates, learnt: Events, whole: Events | None) -> list[Leak]:
    """Leaks of what a recommender knows into the lists that it is asked about."""
    items = features.catalogue.items
    found = learnt_from_more(features, learnt)
    if candidates.as_of is not None:
        first = candidates.as_of.min().astype("datetime64[us]").item().replace(tzinfo=UTC)
        found += leaks.stamped(stamps(features), first)
        found += leaks.stamped(items.stamps, first, OUT)
    if whole is not None:
        found += in_columns(items, learnt, whole)
    return found + labels_in_columns(items, candidates, learnt)


def stamps(features: Features) -> dict[str, datetime]:
    """Feature -> the moment up to which it knows the world, for those that have one."""
    return {one.name: _moment(one.as_of) for one in features.all if one.as_of is not None}


def in_columns(items: Items, known: Events, whole: Events) -> list[Leak]:
    """Columns of the items that order them as the events do which nobody may know, and not as those that are known."""
    past = _told(items, known)
    later = {f"{name}, all counted": values for name, values in _told(items, whole).items()}
    if known.timed and whole.timed and len(known):
        rest = whole.frame[whole.frame["datetime"] > known.frame["datetime"].max()].reset_index(drop=True)
        later |= {f"{name}, later ones alone": values for name, values in _told(items, Events(rest)).items()}
    found = []
    for column, values in _values(items).items():
        honest = max(_alike(values, one) for one in past.values())
        for name, one in later.items():
            if (alike := _alike(values, one)) >= ALIKE and alike > honest:
                kind = leaks.TEST_USERS if name.startswith(MEAN) else leaks.FUTURE_POPULARITY
                told = f"column '{column}' of the items orders them as {name} (rank correlation {alike:.4f})"
                found.append(Leak(kind, f"{told}; {OUT.format(name=column)}"))
                break
    return found


def learnt_from_more(features: Features, known: Events) -> list[Leak]:
    """Counts that are not those of the events that may be learnt from."""
    _, past = Past.users(known, features.catalogue.items)
    count = len(features.popularity.counts)
    now = np.bincount(past.items, minlength=count)[:count]
    more = features.popularity.counts - now
    if not (more > 0).any():
        return []
    item = features.catalogue.items.ids[int(np.argmax(more))]
    told = f"'popularity' counts {int(more[more > 0].sum()):,} events that were not to be learnt from, as of {item}"
    return [Leak(leaks.TEST_USERS, f"{told}; fit on the events before the test alone")]


def in_steps(steps: Steps) -> list[Leak]:
    """Steps whose history goes on after them."""
    late = np.flatnonzero(steps.past.times > steps.as_of[steps.past.owners])
    if not len(late):
        return []
    shown = _moment(steps.as_of[steps.past.owners[late[0]]])
    return [Leak(leaks.FUTURE_HISTORY, f"{len(late):,} events stand in histories of lists shown before, at {shown}")]


def taken_before_published(events: Events, items: Items) -> list[Leak]:
    """Events with items that were not there yet: the item's age, below 0, would tell them from all others."""
    if "published" not in items.frame:
        return []
    published = seconds(items.frame["published"].reindex(events.frame["item_id"]))
    late = np.flatnonzero(published > seconds(events.frame["datetime"]))
    if not len(late):
        return []
    row = events.frame.iloc[int(late[0])]
    told = f"{len(late):,} events are older than their item; {row.item_id} was taken at {row.datetime}"
    return [Leak(leaks.FUTURE_ITEM, f"{told}; correct 'published', or leave the column out")]


def labels_in_columns(items: Items, lists: Candidates, learnt: Events) -> list[Leak]:
    """Columns of the items that tell what was taken from what was not.

    In a catalogue most of which nobody takes, popularity does that honestly; then a column may as well. Of fewer lists
    than `leaks.FEWEST` nothing can be told.
    """
    telling = int(((lists.wanted > 0) & (lists.wanted < np.diff(lists.offsets))).sum())
    table = _values(items)
    if telling < leaks.FEWEST or not table:
        return []
    numbers = items.numbers(lists.item_ids)
    counts = _told(items, learnt)[COUNTS]
    if leaks.in_features(pd.DataFrame({"popularity": counts[numbers]}), lists):
        return []
    matrix = pd.DataFrame({name: values[numbers] for name, values in table.items()})
    found = leaks.in_features(matrix, lists)
    return [replace(one, told=f"column {one.told}; leave it out: it was made of what users took") for one in found]


def _told(items: Items, events: Events) -> Mapping[str, Floats]:
    """What can be counted of each item; NaN where it has none."""
    frame = events.frame
    by_item = frame.groupby("item_id", sort=False)
    counts = by_item.size().reindex(items.ids).fillna(0.0).to_numpy(np.float64)
    users = by_item["user_id"].nunique().reindex(items.ids).fillna(0.0).to_numpy(np.float64)
    means = by_item["weight"].mean().reindex(items.ids).to_numpy(np.float64)
    return {COUNTS: counts, USERS: users, MEAN: means}


def _values(items: Items) -> dict[str, Floats]:
    """Numbers of the columns that are features; of categories, whether an item is of each."""
    used = Columns.of(items)
    found = {name: columns.numbers(items.frame[name]).astype(np.float64) for name in used.numbers}
    for name in used.codes:
        texts = pd.Series(columns.labels(items.frame[name]), dtype=object)
        for value in texts.value_counts().index[:OFTEN]:
            found[f"{name}={value}"] = (texts == value).to_numpy(np.float64)
    return found


def _alike(one: Floats, other: Floats) -> float:
    """Rank correlation (Spearman 1904), over the items that have both; 0 where they are too few to tell."""
    both = ~np.isnan(one) & ~np.isnan(other)
    first, second = one[both], other[both]
    if len(first) < ITEMS or min(len(np.unique(first)), len(np.unique(second))) < VALUES:
        return 0.0
    ranks = [pd.Series(values).rank().to_numpy() for values in (first, second)]
    return abs(float(np.corrcoef(*ranks)[0, 1]))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
