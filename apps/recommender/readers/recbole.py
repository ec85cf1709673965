"""RecBole: atomic files (.inter, .item, .user) whose header names each field and its type, as `user_id:token`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from apps.recommender.events import Events
from apps.recommender.items import Items
from apps.recommender.readers import sequences
from apps.recommender.readers.data import Data, DeadLetter, Rows
from engine.errors import InputError

TYPES = ("token", "token_seq", "float", "float_seq")
TITLES = ("title", "movie_title", "name")
TAGS = ("class", "genre", "genres", "categories")


def read(path: Path) -> Data:
    """What a folder of atomic files, or one .inter file and the .item file of its name, holds.

    Raises:
        InputError: there are several .inter files to choose from, or a header is not as RecBole writes it.
        DataError: no row can be used.
    """
    events = sorted(path.glob("*.inter")) if path.is_dir() else [path]
    if len(events) > 1:
        raise InputError(f"{path}: {len(events)} .inter files, {events[0].name} for one; give one of them")
    stem = events[0].name.split(".")[0]
    dead: list[DeadLetter] = []
    named = {kind: events[0].with_name(f"{stem}.{kind}") for kind in ("item", "user")}
    items = _items(named["item"], dead) if named["item"].exists() else None
    users = _users(named["user"], dead) if named["user"].exists() else None
    return Data(_events(events[0], dead), items, users=users, dead=tuple(dead))


def fields(path: Path) -> Rows:
    """The rows of an atomic file: numbers of `float` columns, texts of the others.

    Raises:
        InputError: a column has no type, or an unknown one.
    """
    rows = Rows.read(path, "\t")
    types = {}
    for column in rows.frame.columns:
        name, _, kind = str(column).partition(":")
        if kind not in TYPES:
            raise InputError(
                f"{path}, line 1: '{column}' names no type; write {name}:token, or one of {', '.join(TYPES)}"
            )
        types[name] = kind
    rows.frame.columns = pd.Index(types)
    for name, kind in types.items():
        if kind == "float" and name != "timestamp":
            rows.frame[name] = rows.frame[name].replace("", None)
            given = rows.frame[name].notna()
            number = pd.to_numeric(rows.frame[name], errors="coerce")
            rows.drop((number.isna() & given).to_numpy(), name, "give a number, or nothing")
            rows.frame = rows.frame.assign(**{name: number})
    return rows


def _events(path: Path, dead: list[DeadLetter]) -> Events:
    rows = fields(path)
    rows.need("user_id", "item_id")
    if sequences.HISTORY in rows.frame:
        found = sequences.events(rows)
        dead += rows.dead
        return found
    rows.ids("user_id", "item_id")
    if "timestamp" in rows.frame:
        rows.seconds("timestamp")
    dead += rows.dead
    frame = rows.some().rename(columns={"timestamp": "datetime", "rating": "weight"})
    return Events.of(frame, name=str(path))


def _items(path: Path, dead: list[DeadLetter]) -> Items:
    rows = fields(path)
    rows.need("item_id")
    rows.ids("item_id")
    rows.once("item_id")
    dead += rows.dead
    frame = rows.some()
    names: dict[str, str] = {}
    for known, others in (("title", TITLES), ("tags", TAGS)):
        if known not in frame:
            names |= dict.fromkeys([one for one in others if one in frame][:1], known)
    return Items.of(frame.rename(columns=names), name=str(path))


def _users(path: Path, dead: list[DeadLetter]) -> pd.DataFrame:
    rows = fields(path)
    rows.need("user_id")
    rows.ids("user_id")
    rows.once("user_id")
    dead += rows.dead
    return rows.some().set_index("user_id")
