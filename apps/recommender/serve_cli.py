"""`recommender serve`, `keys ...` and `export`: ranking over HTTP, who may ask, and what was written down."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from engine.db.option import Url
from engine.service import keys_cli

if TYPE_CHECKING:
    from engine.db import Database

Tenant = Annotated[str, typer.Option(help="Whose models, users and events.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]


def add(app: typer.Typer) -> None:
    """Put these commands into recommender's."""
    app.command()(serve)
    app.command()(export)
    app.command()(forget)
    app.add_typer(keys, name="keys")


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(help="Stored models to serve, as NAME or TENANT=NAME; each belongs to one tenant."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8070,
    per_minute: Annotated[int, typer.Option(min=1, help="Requests of one key a minute.")] = 6000,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that rank; by default one a core.")] = None,
    fresh: Annotated[
        float,
        typer.Option(
            min=0.01,
            help="Minutes after which popularity and behaviour take new events in; promoted models: seconds.",
        ),
    ] = 10.0,
    database: Url = None,
) -> None:
    """Rank over HTTP: /rank/MODEL, /feedback, /items, a page to try a user under /, /metrics, /docs.

    Example: recommender serve --model recommender --port 8070
    """
    import os
    import threading

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a request is small: threads of its own would wait for each other
    from apps.recommender import tables
    from apps.recommender.api import application
    from apps.recommender.ranker import NAME
    from apps.recommender.shelf import Shelf, assigned
    from engine.service import Keys, Queue
    from engine.service import serve as run

    opened = tables.opened(database)
    shelf = Shelf(opened, assigned(model or [NAME]))
    queue = Queue(workers)
    if not Keys(opened).any():
        typer.echo(
            "no key yet: whoever is on this machine may call, nobody else; make one with: recommender keys add NAME",
            err=True,
        )
    typer.echo(f"http://{host}:{port}/   http://{host}:{port}/docs", err=True)
    threading.Thread(target=shelf.keep_fresh, args=(60 * fresh,), name="fresh", daemon=True).start()
    try:
        app = application(shelf, queue=queue, per_minute=per_minute)
        run(app, host=host, port=port)
    finally:
        queue.close()
        shelf.close()


def export(
    out: Annotated[Path, typer.Option(help="The new folder: events, exposures, lists, items.")],
    kind: Annotated[Literal["parquet", "jsonl"], typer.Option("--format", help="Of the files.")] = "parquet",
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Write what the service was told and what it answered, as `train` and off-policy estimates read it.

    Example: recommender export --out logged
    """
    from apps.recommender import tables
    from apps.recommender.export import write
    from apps.recommender.logbook import Logbook

    counts = write(Logbook(tables.opened(database), tenant), out, kind=kind)
    if as_json:
        _print({"folder": str(out), **counts})
    else:
        typer.echo(f"{out}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))


def forget(
    user: Annotated[str, typer.Argument(help="The user, or the session of a visitor.")],
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Erase what a user did and the lists that they were shown; a running service forgets them with its next request.

    Models that learnt of it stay as they are until they are trained anew.

    Example: recommender forget user-4711
    """
    from apps.recommender import tables
    from apps.recommender.logbook import Logbook

    gone = Logbook(tables.opened(database), tenant).forget(user)
    if as_json:
        _print({"erased": gone})
    else:
        typer.echo(f"{gone} rows erased")


def _opened(url: str | None) -> Database:
    from apps.recommender import tables

    return tables.opened(url)


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


keys = keys_cli.commands(
    "recommender",
    _opened,
    roles={"server": "may tell and ask", "agent": "may ask and use the page"},
    where=Url,
    own=["recommender"],
)
