"""Settings of a command: which database, whose documents."""

from __future__ import annotations

import os
from pathlib import Path

from apps.customer_service import tables
from engine.db import Database, default_url
from engine.errors import InputError

DATABASE = "KEEL_SUPPORT_DATABASE"


def database(url: str | None = None) -> Database:
    """The database that the URL, or else KEEL_SUPPORT_DATABASE names; by default Keel's own.

    Raises:
        InputError: it cannot be opened, or an earlier version's file would be left behind.
    """
    url = url or os.environ.get(DATABASE) or default_url(formerly="support.db")
    return Database.open(url, name=tables.NAME, migrations=tables.MIGRATIONS)


def packaged(name: str) -> Path:
    """A file or folder of Keel's own data/support.

    Raises:
        InputError: it is not packaged here.
    """
    from engine import packaged

    path = packaged() / "data" / "support" / name
    if not path.exists():
        raise InputError(f"{path}: not there; give the file outright")
    return path
