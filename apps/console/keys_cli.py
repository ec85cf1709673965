"""`keel keys ...`: who may call the house, and log in to its console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.console.names import App
from engine.db.option import Url
from engine.service import keys_cli

if TYPE_CHECKING:
    from engine.db import Database


def opened(url: str | None) -> Database:
    """The database that everything is kept in."""
    from engine.db import Database, default_url
    from engine.service.keys import MIGRATIONS

    return Database.open(url or default_url(), name="service", migrations=MIGRATIONS)


keys = keys_cli.commands(
    "keel",
    opened,
    roles={
        "server": "all, but what takes --scope admin: to promote models",
        "agent": "may look, talk and judge",
        "widget": "public, converses in its pages alone",
    },
    where=Url,
    example="desk --role agent",
    own=[app.scope for app in App],
)
