"""`keel ...`: the suite in one process, and who may call it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from apps.console import keys_cli
from apps.console.names import App
from apps.finance_monitor import options
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
    mapping: options.Pushed = None,
    poll: options.Poll = 60.0,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    per_minute: Annotated[int, typer.Option(min=1, help="Requests of one key a minute.")] = 6000,
    alerts: Annotated[
        Path | None, typer.Option(help="Write changes of finance_monitor's alerts here too, one JSON object a line.")
    ] = None,
    webhook: options.Webhooks = None,
    slack: options.Slacks = None,
    smtp: options.Mail = None,
    escalate_to: options.EscalateTo = None,
    escalate_after: options.EscalateAfter = 30.0,
    companies: options.Companies = None,
    lateness: options.Lateness = 5.0,
    keep_items: options.KeepItems = 90.0,
    false_alarms_per_day: options.Budget = 0.5,
    calendar: options.Calendar = None,
    notices: options.Notices = False,
    cascade: options.Cascade = False,
    backlog: options.Backlog = 2000,
    dead_letters: options.Dead = None,
    database: Url = None,
) -> None:
    """Serve the console under /, the applications under /support, /news and /recommend, and /v1/predict/MODEL.

    Example: keel serve --feed data/finance/news.jsonl
    """
    from apps.console.serve import serve as run
    from apps.finance_monitor import sinks
    from apps.finance_monitor.desk import Desk
    from engine.db import default_url

    url = database or default_url()
    told = sinks.configured(webhook or (), slack or (), smtp or (), escalate_to or (), escalate_after)
    monitor = {
        "watch_list": companies,
        "log": alerts,
        "lateness": timedelta(minutes=lateness),
        "keep_items": timedelta(days=keep_items) if keep_items else None,
        "budget": false_alarms_per_day,
        "calendar": calendar,
        "notices": notices,
        "backlog": backlog,
        "dead_letters": options.dead_letters(dead_letters, url),
    }
    desk = Desk(tuple(feed or ()), poll, mapping, cascade, tuple(told), monitor)
    if (feed or told or companies or alerts) and App.FINANCE_MONITOR not in (apps or App):
        raise errors.InputError("feeds, alerts and companies are finance_monitor's; add --app finance_monitor")
    run(url, host=host, port=port, apps=apps or tuple(App), desk=desk, per_minute=per_minute)


app.add_typer(keys_cli.keys, name="keys")


def main() -> None:
    """Entry point of `keel`."""
    errors.run(lambda: app(standalone_mode=True))
