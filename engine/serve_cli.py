"""`engine serve` and `engine keys ...`: stored models over HTTP, and who may ask them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.db.option import Url
from engine.service import keys_cli

if TYPE_CHECKING:
    from engine.db import Database


def add(app: typer.Typer) -> None:
    """Put these commands into engine's."""
    app.command()(serve)
    app.add_typer(keys, name="keys")


def serve(
    model: Annotated[
        list[str] | None, typer.Option(help="Models to load at once, as NAME or NAME@ALIAS; others when asked for.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8060,
    per_minute: Annotated[int, typer.Option(min=1, help="Requests of one key a minute.")] = 6000,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that answer; by default one a core.")] = None,
    database: Url = None,
) -> None:
    """Answer over HTTP by any stored model of texts: /v1/predict/MODEL, /readyz, /metrics, /docs.

    A promoted or rolled-back version answers within seconds, without a restart.

    Example: engine serve --model finance-news
    """
    import os

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a model call is single-threaded: one a core
    from engine.drift import Watch
    from engine.service import Champions, Keys, Queue, api
    from engine.service import serve as run

    opened, champions = _opened(database), Champions(wanted=model or ())
    for name in model or ():
        champions.store.get(name)
    queue = Queue(workers)
    if not Keys(opened).any():
        typer.echo(
            "no key yet: whoever is on this machine may call, nobody else; make one with: engine keys add NAME",
            err=True,
        )
    typer.echo(f"http://{host}:{port}/docs", err=True)
    champions.start()
    watch = Watch(opened)
    try:
        served = api.application(opened, champions, queue=queue, per_minute=per_minute, watch=watch)
        run(served, host=host, port=port)
    finally:
        champions.close()
        queue.close()
        watch.close()


def _opened(url: str | None) -> Database:
    from engine.service import api

    return api.opened(url)


keys = keys_cli.commands("engine", _opened, roles={"server": "may ask", "agent": "may ask"}, where=Url)
