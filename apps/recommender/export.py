"""Export: what the service wrote down, as the files that training and off-policy estimates read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from apps.recommender.logbook import Logbook
from engine.errors import InputError

COLUMNS = {
    "events": ("user_id", "item_id", "event", "weight", "datetime", "list_id"),
    "exposures": ("list_id", "user_id", "datetime", "position", "item_id", "propensity", "score", "model"),
    "lists": ("list_id", "user_id", "datetime", "candidates"),
    "items": ("item_id",),
}
"""Those of `simulate.Log`, and of exposures also score and model; items hold the fields that were told besides."""


def write(logbook: Logbook, folder: Path, *, kind: str = "parquet") -> dict[str, int]:
    """Rows written to each of events, exposures, lists and items; the folder is whole or not there.

    Args:
        kind: "parquet" or "jsonl".

    Raises:
        InputError: something stands there already.
    """
    if folder.exists():
        raise InputError(f"{folder}: something stands there already; give a new folder")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        counts = {}
        for name, rows in (
            ("events", _events(logbook)),
            ("exposures", _exposures(logbook)),
            ("lists", _lists(logbook)),
            ("items", _items(logbook)),
        ):
            frame = pd.DataFrame(list(rows))
            for column in COLUMNS[name]:
                if column not in frame:
                    frame[column] = pd.Series(dtype=object)
            frame = frame[[*COLUMNS[name], *(column for column in frame if column not in COLUMNS[name])]]
            counts[name] = len(frame)
            if kind == "parquet":
                frame.to_parquet(part / f"{name}.parquet", index=False)
            else:
                frame.to_json(
                    part / f"{name}.jsonl", orient="records", lines=True, date_format="iso", date_unit="us",
                    double_precision=15, force_ascii=False,
                )  # fmt: skip
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return counts


def _events(logbook: Logbook) -> Iterator[dict[str, Any]]:
    for _, entry in logbook.since(0):
        if entry.kind == "interaction" and entry.data.get("consent", True):
            told = entry.data
            yield {
                "user_id": entry.subject,
                "item_id": told["item"],
                "event": told["event"],
                "weight": told["weight"],
                "datetime": pd.Timestamp(entry.time),
                "list_id": told["list"],
            }


def _exposures(logbook: Logbook) -> Iterator[dict[str, Any]]:
    for shown in logbook.shown():
        for place, (item, score, propensity) in enumerate(
            zip(shown.items, shown.scores, shown.propensities, strict=True), 1
        ):
            yield {
                "list_id": shown.id,
                "user_id": shown.user,
                "datetime": pd.Timestamp(shown.time),
                "position": place,
                "item_id": item,
                "propensity": propensity,
                "score": score,
                "model": shown.model,
            }


def _lists(logbook: Logbook) -> Iterator[dict[str, Any]]:
    for shown in logbook.shown():
        yield {
            "list_id": shown.id,
            "user_id": shown.user,
            "datetime": pd.Timestamp(shown.time),
            "candidates": list(shown.candidates),
        }


def _items(logbook: Logbook) -> Iterator[dict[str, Any]]:
    """As they were told last; a field that was told once stays."""
    found: dict[str, dict[str, Any]] = {}
    for _, entry in logbook.since(0):
        if entry.kind == "item":
            found.setdefault(entry.subject, {}).update(entry.data)
    for item_id, fields in found.items():
        yield {"item_id": item_id, **fields}
