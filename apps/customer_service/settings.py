"""Settings of a command: which database, whose documents."""

from __future__ import annotations

import os
from pathlib import Path

from apps.customer_service import tables
from engine.db import Database
from engine.errors import InputError

DATABASE = "KEEL_SUPPORT_DATABASE"


def database(url: str | None = None) -> Database:
    """The database that the URL, or else KEEL_SUPPORT_DATABASE names; by default `support.db` in Keel's home."""
    url = url or os.environ.get(DATABASE) or f"sqlite:///{home()}/support.db"
    return Database.open(url, name=tables.NAME, migrations=tables.MIGRATIONS)


def home() -> Path:
    from engine import Store

    return Store().root.parent


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
