"""Feedback: what people said about predictions, kept where the next training set is made from.

Written here by the applications; read by `engine retrain`. Personal data are masked before anything is stored.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Float, MetaData, Table, Text, delete, insert, select

from engine.text.pii import mask

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from engine.db import Database

MIGRATIONS = Path(__file__).parent / "db" / "feedback"
_TABLE = Table(
    "feedback",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("time", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("said", Text, nullable=False),
    Column("verdict", Float, nullable=True),
    Column("correction", Text, nullable=True),
)


@dataclass(frozen=True)
class Feedback:
    tenant: str
    model: str
    """NAME@NUMBER that made the prediction."""
    subject: str
    """What it belongs to, such as a conversation; all of a subject is erased together."""
    text: str
    """What was predicted for."""
    said: dict[str, Any]
    """The prediction."""
    verdict: float | None = None
    """From 0, bad, to 1, good."""
    correction: dict[str, Any] | None = None
    """What it should have been."""
    time: str = ""
    """RFC 3339; when it was written."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


class FeedbackLog:
    """The feedback in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.migrate("feedback", MIGRATIONS)

    def add(self, connection: Connection, one: Feedback) -> None:
        """Write one, within the transaction of what it belongs to."""
        row = {
            **vars(one),
            "text": mask(one.text)[0],
            "said": json.dumps(one.said, ensure_ascii=False),
            "correction": None if one.correction is None else json.dumps(one.correction, ensure_ascii=False),
            "time": one.time or datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        connection.execute(insert(_TABLE), row)

    def erase(self, connection: Connection, tenant: str, subjects: list[str]) -> None:
        """Remove all that is stored of some subjects."""
        for subject in subjects:
            connection.execute(delete(_TABLE).where(_TABLE.c.tenant == tenant, _TABLE.c.subject == subject))

    def all(self, tenant: str) -> list[Feedback]:
        """A tenant's, the oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(select(_TABLE).where(_TABLE.c.tenant == tenant).order_by(_TABLE.c.time))
            return [
                Feedback(
                    **{
                        **row,
                        "said": json.loads(row["said"]),
                        "correction": None if row["correction"] is None else json.loads(row["correction"]),
                    }
                )
                for row in rows.mappings()
            ]
