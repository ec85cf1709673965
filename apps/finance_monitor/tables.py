"""The tables of finance-monitor, as its newest migration leaves them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Float, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

MIGRATIONS = Path(__file__).parent / "migrations"
NAME = "finance_monitor"

METADATA = MetaData()

feeds = Table(
    "finance_feeds",
    METADATA,
    Column("feed", Text, primary_key=True),
    Column("position", Text, nullable=False),
)
"""How far each feed has been read, as its source writes it."""

items = Table(
    "finance_items",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", Text, nullable=False),
    Column("vector", LargeBinary),
)
"""Items with their labels, counted as they came."""

dead = Table(
    "finance_dead", METADATA, Column("number", Integer, primary_key=True), Column("data", Text, nullable=False)
)

changes = Table(
    "finance_changes",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("alert", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("alert", "revision"),
)
"""What became of alerts, in order."""

deliveries = Table(
    "finance_deliveries",
    METADATA,
    Column("sink", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Float, nullable=False),
)
"""The change up to which each sink has been told, how often the next one was tried, and when it is due again."""

undelivered = Table(
    "finance_undelivered",
    METADATA,
    Column("sink", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
)

states = Table(
    "finance_states",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("items", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""Windows, stories, baseline and alarms after so many items: one row."""
