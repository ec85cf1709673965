"""Fields: an item as it is told, fitted to the columns that a model's catalogue has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from apps.recommender.items import TEXTS, Items
from engine.errors import InputError

NUMBERS = "biuf"
"""Kinds of columns that hold numbers."""
FIRST, LAST = pd.Timestamp("1678-01-01", tz="UTC"), pd.Timestamp("2262-01-01", tz="UTC")
"""Times that nanoseconds can tell."""


def settled(items: Items) -> Items:
    """With all numbers as floats, so that an item without one changes no column's type, and so no feature."""
    frame = items.frame.copy()
    for name in frame.columns:
        if frame[name].dtype.kind in NUMBERS:
            frame[name] = frame[name].astype(np.float64)
    return Items(frame)


def unused(given: Iterable[str], items: Items) -> list[str]:
    """Names of fields that the model was not trained with, and does not read."""
    return sorted(name for name in given if name not in items.frame.columns)


def checked(item_id: str, given: Mapping[str, Any], items: Items) -> dict[str, Any]:
    """The fields that the model reads.

    Raises:
        InputError: a field holds what its column cannot.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in items.frame.columns or value is None:
            if name in items.frame.columns:
                found[name] = None
            continue
        wish = _wish(name, value, items.frame[name].dtype)
        if wish:
            raise InputError(f"item {item_id!r}, field {name!r}: {value!r}; give {wish}")
        found[name] = value
    return found


def _wish(name: str, value: Any, dtype: Any) -> str:
    """What a field should hold instead; nothing where it is right."""
    if name == "published":
        time = pd.to_datetime(value, utc=True, errors="coerce") if isinstance(value, str) else pd.NaT
        return "" if time is not pd.NaT and FIRST < time < LAST else "a time in RFC 3339, as 2026-03-02T08:15:00Z"
    if name == "price" or dtype.kind in NUMBERS:
        fine = isinstance(value, int | float) and np.isfinite(value) and (name != "price" or value >= 0)
        return "" if fine else "a number" + (" from 0" if name == "price" else "")
    if name in TEXTS:
        parts = value if isinstance(value, list) else [value]
        return "" if all(isinstance(one, str) for one in parts) else "a text, or a list of them"
    return "one value" if isinstance(value, list | dict) else ""


def joined(told: Mapping[str, Mapping[str, Any]], items: Items) -> Items:
    """New and changed items as a table of the catalogue's own columns; a field that is not told stays as it was."""
    frame = items.frame
    known = {item_id: frame.loc[item_id].to_dict() for item_id in told if item_id in frame.index}
    rows = [{**known.get(item_id, {}), **fields} for item_id, fields in told.items()]
    index = pd.Index(list(told), dtype=object, name="item_id")
    found = pd.DataFrame(rows, columns=list(frame.columns), index=index)
    for name in frame.columns:
        if frame[name].dtype.kind in NUMBERS:
            found[name] = found[name].astype(np.float64)
        elif name == "published":
            found[name] = pd.to_datetime(found[name], utc=True, format="ISO8601").astype(frame[name].dtype)
        else:
            found[name] = found[name].astype(object).where(found[name].notna(), None)
    return Items.of(found)
