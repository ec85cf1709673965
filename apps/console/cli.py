"""`keel ...`: the suite in one process, and who may call it."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.console import keys_cli
from apps.console.names import App
from engine import errors
from engine.db.option import Url

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="The three applications, the engine's API and one web console, in one process.\n\n"
    "Example: keel serve --port 8000",
)


@app.callback()
def keel() -> None:
    """Makes `serve` a command of its own."""


@app.command()
def serve(
    apps: Annotated[
        list[App] | None,
        typer.Option("--app", help="Serve this one apart; may be given again. By default all three."),
    ] = None,
    feed: Annotated[
        list[str] | None, typer.Option(help="News that finance_monitor follows beside what is pushed: a file, a URL.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    per_minute: Annotated[int, typer.Option(min=1, help="Requests of one key a minute.")] = 6000,
    database: Url = None,
) -> None:
    """Serve the console under /, the applications under /support, /news and /recommend, and /v1/predict/MODEL.

    Example: keel serve --feed data/finance/news.jsonl
    """
    from apps.console.serve import serve as run
    from engine.db import default_url

    url = database or default_url()
    typer.echo(f"http://{host}:{port}/   http://{host}:{port}/docs", err=True)
    run(
        url,
        apps or tuple(App),
        feed or (),
        host=host,
        port=port,
        per_minute=per_minute,
    )


app.add_typer(keys_cli.keys, name="keys")


def main() -> None:
    """Entry point of `keel`."""
    errors.run(lambda: app(standalone_mode=True))
