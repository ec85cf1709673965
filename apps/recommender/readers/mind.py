"""MIND: news and the lists that readers were shown (Wu et al. 2020; news.tsv and behaviors.tsv, without headers)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from apps.recommender.candidates import Candidates
from apps.recommender.events import Events
from apps.recommender.items import Items
from apps.recommender.readers.data import Data, Rows

NEWS = ("item_id", "category", "subcategory", "title", "description", "url", "title_entities", "description_entities")
BEHAVIOURS = ("list_id", "user_id", "datetime", "history", "shown")
TIME = "%m/%d/%Y %I:%M:%S %p"
"""Without a zone; read as UTC."""


def read(folder: Path) -> Data:
    """Items, clicks and lists of a folder.

    The clicks of a history have no times but came before the user's first list: they are put a second apart right
    before it, so that their order is known and no list sees a later one.

    Raises:
        InputError: a file is missing.
        DataError: no row of one can be used.
    """
    news = Rows.read(folder / "news.tsv", "\t", NEWS)
    news.ids("item_id")
    news.once("item_id")
    items = Items.of(news.some()[["item_id", "title", "description", "category", "subcategory"]].replace("", None))
    rows = Rows.read(folder / "behaviors.tsv", "\t", BEHAVIOURS)
    rows.ids("user_id")
    rows.times("datetime", TIME)
    shown = rows.frame["shown"].str.split()
    rows.drop(~shown.map(_labelled).to_numpy(bool), "shown", "write ITEM-0 or ITEM-1, at least one")
    frame = rows.some().sort_values("datetime", kind="stable")
    pairs = [[one.rpartition("-") for one in line.split()] for line in frame["shown"]]
    moments = frame["datetime"].dt.tz_convert(None).to_numpy("datetime64[us]")
    lists = Candidates.of(
        (
            (user, [item for item, _, _ in line], [float(label) for _, _, label in line])
            for user, line in zip(frame["user_id"], pairs, strict=True)
        ),
        moments,
    )
    return Data(_events(frame, lists), items, lists, dead=(*news.dead, *rows.dead))


def _labelled(shown: list[str]) -> bool:
    return bool(shown) and all(one[:-2] and one[-2:] in ("-0", "-1") for one in shown)


def _events(frame: pd.DataFrame, lists: Candidates) -> Events:
    """Clicks of histories and of lists."""
    first = frame.drop_duplicates("user_id")
    history = first["history"].str.split()
    before = pd.DataFrame({"user_id": first["user_id"], "datetime": first["datetime"], "item_id": history})
    before = before.explode("item_id").dropna(subset="item_id")
    from_end = before.groupby("user_id", sort=False).cumcount(ascending=False) + 1
    before["datetime"] -= pd.to_timedelta(from_end, unit="s")
    clicked = np.flatnonzero(lists.gains > 0)
    of = lists.lists[clicked]
    assert lists.as_of is not None
    clicks = pd.DataFrame({"user_id": lists.user_ids[of], "item_id": lists.item_ids[clicked]})
    clicks["datetime"] = pd.to_datetime(lists.as_of[of], utc=True)
    return Events.of(pd.concat([before, clicks], ignore_index=True))
