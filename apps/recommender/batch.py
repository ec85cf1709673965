"""Batch: a file of users and items in, its rows with their scores out, in a memory that does not grow with the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender import streams
from apps.recommender.past import Ints, Past, seconds
from apps.recommender.ranker import Recommender
from apps.recommender.readers.data import Rows
from engine import Progress

ROWS = 100_000
"""Rows that are scored at once. A user's history is read once for all of their rows among these, so a file sorted by
user is the faster one; no score depends on it."""
COLUMNS = ("user_id", "item_id", "datetime")


@dataclass(frozen=True)
class Counts:
    """What became of the rows of a file.

    Attributes:
        strangers: rows of users without a history, scored by what serves everybody.
        refused: rows that have no score; each is a line of the file `rejected`: file, line, reason, text.
        reasons: field that was wrong -> rows.
        rejected: None where no row was refused.
    """

    scored: int
    strangers: int
    refused: int
    reasons: Mapping[str, int]
    rejected: Path | None


def score_file(
    recommender: Recommender,
    source: Path,
    target: Path,
    progress: Progress | None = None,
    *,
    as_of: datetime | None = None,
) -> Counts:
    """Score each row of a table, as `Recommender.score` would, and write user_id, item_id, (datetime,) score.

    Rows keep their order; what cannot be scored goes to TARGET-STEM.rejected.jsonl beside the target with its reason:
    no user, an item that is not in the catalogue, a time that is none, a history that goes on after it. A user nobody
    knows and an item given twice are scored. Both files are whole or not there; a table without rows gives one.

    Args:
        source: .parquet, .csv (its first line names the columns) or .jsonl with user_id and item_id; where there is a
            column datetime (with its zone), each row is scored as shown then. Other columns are left behind.
        target: .parquet, .csv or .jsonl; what stands there is replaced.
        as_of: when all rows are shown, where the table does not say.

    Raises:
        InputError: a file is of another kind or not there, a column is missing, or both files are one.
        DataError: the source is unreadable, or breaks off.
    """
    source, target = Path(source), Path(target)
    streams.check(source, target)
    rejected = target.with_name(f"{target.stem}.rejected.jsonl")
    parts = {path: path.with_name(f".{path.name}.part") for path in (target, rejected)}
    scoring, progress = _Scoring(recommender, as_of), progress or Progress(quiet=True)
    try:
        with streams.sink(target, parts[target]) as write, parts[rejected].open("w", encoding="utf-8") as dead:
            for rows, share in streams.parts(source, COLUMNS, ROWS):
                write(scoring.of(rows))
                dead.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in rows.dead)
                progress.step(round(1000 * share), 1000, "")
        parts[target].replace(target)
        if scoring.refused:
            parts[rejected].replace(rejected)
        else:
            rejected.unlink(missing_ok=True)  # of an earlier run
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    refused = scoring.refused.total()
    return Counts(scoring.scored, scoring.strangers, refused, dict(scoring.refused), rejected if refused else None)


class _Scoring:
    """Scores of tables one after the other, and what was counted on the way."""

    def __init__(self, recommender: Recommender, as_of: datetime | None) -> None:
        self.recommender = recommender
        self.as_of = as_of
        users, past = Past.users(recommender.events, recommender.items)
        self._users = pd.Index(users)
        # Behind all others stands an empty history: a stranger's.
        self._past = Past(past.items, np.r_[past.starts, len(past.items)], past.weights, past.times)
        last = recommender.events.frame.groupby("user_id", sort=False)["datetime"].max()
        self._last = np.r_[seconds(last.reindex(self._users)), np.nan]
        self.scored = self.strangers = 0
        self.refused: Counter[str] = Counter()

    def of(self, rows: Rows) -> pd.DataFrame:
        rows.need("user_id", "item_id")
        rows.ids("user_id", "item_id")
        rows.frame = rows.frame.astype({"user_id": str, "item_id": str})
        rows.drop(self._numbers(rows) < 0, "item_id", "it is not in the catalogue; add it first")
        shown: Any = None
        if "datetime" not in rows.frame and self.as_of:
            rows.frame = rows.frame.assign(datetime=pd.Timestamp(self.as_of))
        if "datetime" in rows.frame:
            rows.moments("datetime")
            late = self._last[self._owners(rows)] > seconds(rows.frame["datetime"])
            rows.drop(late, "datetime", "the user's history goes on after it; score what is shown after the history")
            shown = seconds(rows.frame["datetime"])
        owners = self._owners(rows)
        scores = self.recommender.scores(self._past, owners, self._numbers(rows), shown)
        self.scored += len(owners)
        self.strangers += int((owners == len(self._users)).sum())
        self.refused.update(one.reason.split(":")[0] for one in rows.dead)
        return rows.frame.assign(score=scores)

    def _numbers(self, rows: Rows) -> Ints:
        return self.recommender.items.numbers(rows.frame["item_id"])

    def _owners(self, rows: Rows) -> NDArray[np.int64]:
        found = self._users.get_indexer(pd.Index(rows.frame["user_id"], dtype=object))
        return np.where(found < 0, len(self._users), found)
