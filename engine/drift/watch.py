"""Watch: counts of what a server reads and answers, by the hour, in its database; no text is kept.

with Watch(database) as watch:
    watch.seen("finance-news@3", predictions, texts)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Float, MetaData, Table, Text, func, select

from engine.drift.sketch import Sketch
from engine.predictor import Prediction
from engine.predictor import Text as Asked

if TYPE_CHECKING:
    from engine.db import Database

NAME = "drift"
MIGRATIONS = Path(__file__).parent / "migrations"
EVERY = 5.0
"""Seconds between two writings: what a killed server loses."""
TOGETHER = 256
"""Answers that are counted at once: one by one each would cost thrice as much."""
_TABLE = Table(
    "drift_counts",
    MetaData(),
    Column("model", Text, primary_key=True),
    Column("hour", Text, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("bin", Text, primary_key=True),
    Column("count", Float(53), nullable=False),
)
_log = logging.getLogger(__name__)


class Watch:
    """Counts in memory, written every few seconds and at the end. Threads may share it; a request never waits for SQL.

    While the database cannot be written the counts wait and the next writing takes them along: there are only so many
    bins an hour.
    """

    def __init__(self, database: Database, *, every: float = EVERY) -> None:
        database.migrate(NAME, MIGRATIONS)
        self.database = database
        self._every = every
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: dict[tuple[str, str], Sketch] = {}
        self._unsketched: dict[tuple[str, str], list[tuple[Prediction, Asked | int]]] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def seen(
        self,
        model: str,
        predictions: Sequence[Prediction],
        texts: Sequence[Asked | int],
        embeddings: NDArray[np.floating[Any]] | None = None,
        *,
        at: datetime | None = None,
    ) -> None:
        """Count some answered texts.

        Args:
            model: NAME@NUMBER that answered.
            texts: or their lengths in characters, which tell no language.
            embeddings: of the texts by the model's own encoder, for who has them, shape (texts, width); embed models
                answer with theirs.
            at: when; now.
        """
        key = model, hour(at or datetime.now(UTC))
        with self._lock:
            if embeddings is not None:
                self._add(key, Sketch.of(predictions, texts, embeddings))
            elif predictions:
                waiting = self._unsketched.setdefault(key, [])
                waiting.extend(zip(predictions, texts, strict=True))
                if len(waiting) >= TOGETHER:
                    self._sketch()
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._run, name="keel-drift", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write what was counted since the last time; after a fault it waits for the next."""
        with self._writing:
            with self._lock:
                self._sketch()
                taken, self._waiting = self._waiting, {}
            try:
                self._write(taken)
            except Exception:
                with self._lock:
                    for key, sketch in taken.items():
                        self._waiting[key] = sketch + self._waiting.get(key, Sketch())
                raise

    def close(self) -> None:
        """Write the last counts, and end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sketch(self) -> None:
        unsketched, self._unsketched = self._unsketched, {}
        for key, answered in unsketched.items():
            predictions, texts = zip(*answered, strict=True)
            self._add(key, Sketch.of(predictions, texts))

    def _add(self, key: tuple[str, str], found: Sketch) -> None:
        self._waiting[key] = self._waiting[key] + found if key in self._waiting else found

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            try:
                self.flush()
            except Exception as fault:
                _log.warning("drift counts could not be written and wait for the next time: %s", fault)

    def _write(self, taken: dict[tuple[str, str], Sketch]) -> None:
        from sqlalchemy.dialects import postgresql, sqlite

        # In one order everywhere: two servers that write the same rows must not wait for each other in a ring.
        rows = [
            {"model": model, "hour": at, "measure": measure, "bin": bin_, "count": count}
            for (model, at), sketch in sorted(taken.items())
            for (measure, bin_), count in sorted(sketch.cells.items())
        ]
        if not rows:
            return
        postgres = self.database.engine.dialect.name == "postgresql"
        insert = (postgresql if postgres else sqlite).insert(_TABLE)
        added = insert.on_conflict_do_update(
            index_elements=["model", "hour", "measure", "bin"], set_={"count": _TABLE.c.count + insert.excluded.count}
        )
        with self.database.write() as connection:
            connection.execute(added, rows)


def seen(database: Database, model: str, since: datetime, until: datetime, *, letters: int) -> dict[str, Sketch]:
    """What was counted of a version, by the part of time that the first letters of an hour tell: 10 a day, 13 an hour.

    The hour that `since` lies in counts as a whole; so does that of `until`.
    """
    database.migrate(NAME, MIGRATIONS)
    part = func.substr(_TABLE.c.hour, 1, letters)
    query = (
        select(part, _TABLE.c.measure, _TABLE.c.bin, func.sum(_TABLE.c.count))
        .where(_TABLE.c.model == model, _TABLE.c.hour >= hour(since), _TABLE.c.hour <= hour(until))
        .group_by(part, _TABLE.c.measure, _TABLE.c.bin)
    )
    found: dict[str, dict[tuple[str, str], float]] = {}
    with database.read() as connection:
        for name, measure, bin_, count in connection.execute(query):
            found.setdefault(name, {})[measure, bin_] = count
    return {name: Sketch(found[name]) for name in sorted(found)}


def hour(at: datetime) -> str:
    """ "2026-03-02T08", UTC: sorts as the hours do."""
    return at.astimezone(UTC).isoformat(timespec="hours")[:13]
