"""The tables of finance-monitor, as its newest migration leaves them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

from engine.db import Database
from engine.errors import InputError

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
    Column("item", Text, nullable=False, index=True),
)
"""Items with their labels, counted as they came; `item`: the id of the news item."""

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
"""How far each sink has been told, as its queue counts, how often the next change was tried, and when it is due again.
"""

undelivered = Table(
    "finance_undelivered",
    METADATA,
    Column("sink", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("again", Boolean, nullable=False),
)
"""Changes that a sink was given up for; `again`: it is to be told after all."""

states = Table(
    "finance_states",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("items", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""Windows, stories, baseline and alarms after so many items: one row."""

inbox = Table(
    "finance_inbox",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("item", Text, unique=True),
    Column("data", LargeBinary, nullable=False),
)
"""Lines that were pushed and not read yet; `item`: the id of the news item on it, none where there is none."""

series = Table(
    "finance_series",
    METADATA,
    Column("time", Text, primary_key=True),
    Column("key_type", Text, primary_key=True),
    Column("key_value", Text, primary_key=True),
    Column("stories", Integer, nullable=False),
    Column("negative", Integer, nullable=False),
    Column("expected", Float, nullable=False),
)
"""Counts of a key in the step that ended at `time`."""

silences = Table(
    "finance_silences",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("key_type", Text, nullable=False),
    Column("key_value", Text, nullable=False),
    Column("starts", Text, nullable=False),
    Column("ends", Text),
    Column("weekly", Text),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("made", Text, nullable=False),
)

heard = Table(
    "finance_heard",
    METADATA,
    Column("place", Integer, primary_key=True),
    Column("number", Integer, nullable=False, index=True),
    Column("time", Text, nullable=False),
    Column("silence", Text),
)
"""Changes as they come, and the last one of an alert again where a silence begins or ends; `silence`: what hides it."""


def opened(where: str) -> Database:
    """The database of a state, named by a file or by a database's URL."""
    url = where if "://" in where else f"sqlite:///{where}"
    return Database.open(url, name=NAME, migrations=MIGRATIONS)


def existing(where: str) -> Database:
    """The database of a state that a monitor has made.

    Raises:
        InputError: there is no such file.
    """
    file = where.removeprefix("sqlite:///")
    if "://" not in file and not Path(file).is_file():
        raise InputError(f"--state {where}: no such file; name the one that the monitor was given")
    return opened(file)
