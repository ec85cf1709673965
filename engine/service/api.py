"""API: stored models over HTTP, without an application around them."""

from __future__ import annotations

from fastapi import FastAPI

from engine.db import Database, default_url
from engine.drift import Watch
from engine.service import keys, predict
from engine.service.app import create
from engine.service.champions import Champions
from engine.service.queue import Queue

TITLE = "engine"


def application(
    database: Database, champions: Champions, *, queue: Queue, per_minute: int, watch: Watch | None = None
) -> FastAPI:
    """/v1/predict/{model} and what every service answers.

    Args:
        watch: counts what is asked and answered, for `engine drift`; who gave it closes it.
    """
    from engine import __version__

    app = create(
        TITLE,
        keys.Keys(database),
        queue=queue,
        per_minute=per_minute,
        version=__version__,
        local=True,
        ready=champions.readiness,
    )
    predict.add(app, champions, queue, watch)
    return app


def opened(url: str | None) -> Database:
    """The database of keys that the URL names; by default the one of all that Keel writes."""
    return Database.open(url or default_url(), name="service", migrations=keys.MIGRATIONS)
