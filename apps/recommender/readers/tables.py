"""Tables: events and items as .csv, .jsonl or .parquet, in Keel's own columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.recommender.events import COLUMNS, Events
from apps.recommender.items import Items
from apps.recommender.readers.data import MAX_SHOWN, Data, DeadLetter, Rows, text
from engine.errors import DataError, InputError

SUFFIXES = (".parquet", ".jsonl", ".csv")


def found(folder: Path, name: str) -> Path | None:
    """The table of a name, the first there is."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").exists()), None)


def read(path: Path) -> Data:
    """Events of a folder's `events` table, or of one file, with the `items` beside them if there are any.

    Raises:
        InputError: there is no such table, or a column is missing.
        DataError: no row can be used.
    """
    table = found(path, "events") if path.is_dir() else path
    if table is None:
        raise InputError(f"{path}: no table of events; name one events.parquet, events.jsonl or events.csv")
    rows = load(table)
    rows.need("user_id", "item_id")
    rows.ids("user_id", "item_id")
    if "weight" in rows.frame:
        given = rows.frame["weight"].replace("", None)
        rows.frame = rows.frame.assign(weight=given.where(given.notna(), 1.0))
        rows.number("weight")
    if "datetime" in rows.frame and rows.frame["datetime"].replace("", None).notna().any():
        rows.moments("datetime")
    events = Events.of(rows.some()[[name for name in COLUMNS if name in rows.frame]], name=str(table))
    beside = found(table.parent, "items")
    return Data(events, Items.read(beside) if beside else None, dead=tuple(rows.dead))


def load(path: Path) -> Rows:
    """The rows of a table.

    Raises:
        InputError: it is of another kind.
        DataError: it is unreadable.
    """
    if path.suffix == ".csv":
        return Rows.read(path, ",")
    if path.suffix == ".jsonl":
        return _json(path)
    if path.suffix != ".parquet":
        raise InputError(f"{path}: tables are read from {', '.join(SUFFIXES)}")
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as fault:
        raise DataError(f"{path}: no Parquet file ({fault}); write it anew") from None
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return Rows(path, frame.astype(dict.fromkeys(frame.select_dtypes("string").columns, object)))


def _json(path: Path) -> Rows:
    rows: list[dict[str, Any]] = []
    numbers, dead = [], []
    for number, line in enumerate(text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError(f"a {type(values).__name__} where an object should stand")
            rows.append(values)
            numbers.append(number)
        except (ValueError, RecursionError) as fault:
            dead.append(DeadLetter(str(path), number, f"not JSON: {fault}; send one object a line", line[:MAX_SHOWN]))
    return Rows(path, pd.DataFrame(rows, index=pd.Index(numbers, dtype=np.int64), dtype=object), dead)
