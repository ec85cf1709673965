"""Sequences: a user's items in order, without times; a row has what came before and what came next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from apps.recommender.candidates import Candidates
from apps.recommender.events import Events
from apps.recommender.readers.data import Rows, text
from engine.errors import DataError

HISTORY = "item_id_list"


def events(rows: Rows) -> Events:
    """Each user's longest row, its history and then its next item, as events whose order is all that is known.

    Args:
        rows: user_id, item_id_list (ids between spaces) and item_id.

    Raises:
        DataError: no row can be used.
    """
    rows.ids("user_id", "item_id")
    frame = rows.some()
    items = (frame[HISTORY].fillna("") + " " + frame["item_id"]).str.split()
    # Rows of one user are prefixes of one another (RecBole's augmentation): the longest tells all.
    longest = items.map(len).groupby(frame["user_id"], sort=False).idxmax()
    found = pd.DataFrame({"user_id": frame["user_id"].loc[longest], "item_id": items.loc[longest]})
    return Events.of(found.explode("item_id", ignore_index=True), name=str(rows.path))


def candidates(path: Path, targets: Mapping[str, str], most: int) -> Candidates:
    """Lists of each line `user item item ...`: the user's target beside the first `most` items that stand there.

    Args:
        targets: user -> what came next.

    Raises:
        DataError: a user has no target, or too few items.
    """
    users, others = [], []
    for number, line in enumerate(text(path).splitlines(), 1):
        user, *items = line.split() or [""]
        if not user:
            continue
        if user not in targets:
            raise DataError(
                f"{path}, line {number}: user {user} has no target; give lists of the users who are asked about"
            )
        if len(items) < most:
            raise DataError(f"{path}, line {number}: {len(items)} items where {most} should stand; give as many")
        users.append(user)
        others.append(items[:most])
    if not users:
        raise DataError(f"{path}: holds no list; write a line a user: its id, then ids of items, between spaces")
    return Candidates.beside(users, [targets[user] for user in users], others)


def targets(test: Events) -> dict[str, str]:
    """User -> the one item to be found, of events that hold one a user."""
    frame = test.frame
    if frame["user_id"].duplicated().any():
        twice = frame["user_id"][np.asarray(frame["user_id"].duplicated())].iloc[0]
        raise DataError(f"user {twice} has several targets; split so that one event of each is left")
    return dict(zip(frame["user_id"], frame["item_id"], strict=True))
