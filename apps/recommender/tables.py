"""The tables of recommender's service, as its newest migration leaves them. Each row belongs to a tenant."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text

from engine.db import Database, default_url

MIGRATIONS = Path(__file__).parent / "migrations"
NAME = "recommender"
DATABASE = "KEEL_RECOMMENDER_DATABASE"

METADATA = MetaData()

counters = Table(
    "recommender_counters",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("number", Integer, nullable=False),
)
"""The last number given to an entry; its row is held while entries are written, so that they appear in their order."""

entries = Table(
    "recommender_entries",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("data", Text, nullable=False),
    Index("recommender_entries_id", "tenant", "id", unique=True),
)
"""What was told, in order: interactions, items and users; `subject`: the user or the item it is about."""

lists = Table(
    "recommender_lists",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("time", Text, nullable=False),
    Column("data", Text, nullable=False),
    Index("recommender_lists_time", "tenant", "time", "id"),
)
"""Lists that were answered, with the propensities of their choices."""


def opened(url: str | None = None) -> Database:
    """The database that the URL, or else KEEL_RECOMMENDER_DATABASE names; by default Keel's own.

    Raises:
        InputError: it cannot be opened, or an earlier version's file would be left behind.
    """
    import os

    url = url or os.environ.get(DATABASE) or default_url(formerly="recommender.db")
    return Database.open(url, name=NAME, migrations=MIGRATIONS)
