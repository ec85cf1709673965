"""`finance-monitor serve` and `finance-monitor keys ...`: the monitor over HTTP, and who may call it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.finance_monitor import options
from engine.service import keys_cli

if TYPE_CHECKING:
    from engine.db import Database

State = Annotated[
    str,
    typer.Option(
        "--state", help="A file, or a database's URL, that keeps what was read and found; the next start goes on."
    ),
]


def serve(
    state: State,
    feed: Annotated[
        list[str] | None, typer.Option(help="Feeds to follow beside what is pushed, as the main command takes them.")
    ] = None,
    mapping: options.Pushed = None,
    poll: options.Poll = 60.0,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8090,
    tenant: Annotated[str, typer.Option(help="Whose news these are; keys of other tenants find none.")] = "default",
    per_minute: Annotated[int, typer.Option(min=1, help="Requests of one key a minute.")] = 600,
    alerts: Annotated[
        Path | None, typer.Option(help="Write changes of alerts here too, one JSON object a line.")
    ] = None,
    lateness: options.Lateness = 5.0,
    keep_items: options.KeepItems = 90.0,
    false_alarms_per_day: options.Budget = 0.5,
    calendar: options.Calendar = None,
    notices: options.Notices = False,
    webhook: options.Webhooks = None,
    slack: options.Slacks = None,
    smtp: options.Mail = None,
    escalate_to: options.EscalateTo = None,
    escalate_after: options.EscalateAfter = 30.0,
    companies: options.Companies = None,
    cascade: options.Cascade = False,
    backlog: options.Backlog = 2000,
    dead_letters: options.Dead = None,
) -> None:
    """Follow feeds and what is pushed, and answer over HTTP: /, /v1/items, /v1/alerts, /v1/events, /metrics, /docs.

    With KEEL_ITEMS_SECRET (whsec_ and base64) set, pushed news must be signed as Standard Webhooks says.

    Example: finance-monitor serve --state monitor.db --feed live.jsonl --port 8090
    """
    import os
    import threading
    from datetime import timedelta

    from apps.finance_monitor import run, sinks, tables
    from apps.finance_monitor.desk import Desk
    from apps.finance_monitor.newer import Newer
    from apps.finance_monitor.serve import Service
    from apps.finance_monitor.signed import ITEMS_SECRET
    from apps.finance_monitor.sinks.webhook import secret
    from engine import Progress
    from engine.db import shown
    from engine.service import Keys

    told = sinks.configured(webhook or (), slack or (), smtp or (), escalate_to or (), escalate_after)
    desk = Desk(tuple(feed or ()), poll, mapping, cascade, tuple(told))
    sources = desk.sources()
    if not Keys(tables.opened(state)).any():
        typer.echo(
            "no key yet: whoever is on this machine may call, and nobody else; "
            f"make one with: finance-monitor keys add NAME --state {shown(state)}",
            err=True,
        )
    with Progress() as progress:
        models = run.models(progress, cascade=cascade, spare=True)
    newer = Newer(models, lambda: run.models(Progress(quiet=True), cascade=cascade, spare=True))
    service = Service(
        state,
        models,
        sources,
        mapping=desk.pushed,
        sinks=desk.sinks,
        newer=newer.take,
        secret=secret(os.environ.get(ITEMS_SECRET), ITEMS_SECRET),
        tenant=tenant,
        host=host,
        port=port,
        per_minute=per_minute,
        watch_list=companies,
        dead_letters=options.dead_letters(dead_letters, state),
        log=alerts,
        keep_items=timedelta(days=keep_items) if keep_items else None,
        budget=false_alarms_per_day,
        calendar=calendar,
        notices=notices,
        lateness=timedelta(minutes=lateness),
        backlog=backlog,
    )
    typer.echo(f"http://{host}:{port}/   http://{host}:{port}/docs", err=True)
    threading.Thread(target=newer.watch, name="newer", daemon=True).start()
    try:
        service.run()
    finally:
        newer.close()


def _opened(state: str) -> Database:
    from apps.finance_monitor import tables

    return tables.opened(state)


keys = keys_cli.commands(
    "finance-monitor",
    _opened,
    roles={"server": "may push news", "agent": "may read and silence"},
    where=State,
    default=...,
    example="desk --role agent --state monitor.db",
    own=["finance-monitor"],
)
