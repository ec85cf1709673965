"""`finance-monitor silence ...`: keep alerts of a key from the sinks for a time."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Annotated

import typer

from apps.finance_monitor import options

silence = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Silences and maintenance windows.\n\n"
    "Example: finance-monitor silence add topic:cyber --state monitor.db --hours 2 --reason 'known outage'",
)
State = Annotated[str, typer.Option(help="The monitor's state: its file, or its database's URL.")]


@silence.command("add")
def add(
    key: Annotated[str, typer.Argument(help="topic:NAME, company:NAME, all:all, or '*' for every key.")],
    state: State,
    hours: Annotated[float | None, typer.Option(min=0.01, help="How long; without it until `silence end`.")] = None,
    starts: Annotated[
        str | None, typer.Option("--from", help="RFC 3339; by default now, as the feed tells the time.")
    ] = None,
    weekly: Annotated[
        str | None, typer.Option(help="A maintenance window of each week in UTC, such as 'sat 22:00-04:00'.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for those who wonder.")] = "",
    author: Annotated[str, typer.Option(envvar="USER", help="Who.")] = "",
    as_json: options.Json = False,
) -> None:
    """Hide a key's alerts from the sinks; they stay in the log. What still fires at its end is told then.

    What counts is the time of the news.

    Example: finance-monitor silence add '*' --state monitor.db --weekly 'sat 22:00-04:00' --reason maintenance
    """
    from datetime import UTC, timedelta

    from apps.finance_monitor import charts, tables
    from apps.finance_monitor.silences import Silences
    from engine.errors import InputError

    begin = None
    if starts is not None:
        try:
            begin = datetime.fromisoformat(starts)
        except ValueError:
            raise InputError(f"--from {starts!r}: no time; write 2026-03-02T08:15:00Z") from None
        begin = begin if begin.tzinfo else begin.replace(tzinfo=UTC)
    with tables.existing(state).write() as connection:
        begin = begin or charts.now(connection)
        ends = begin + timedelta(hours=hours) if hours else None
        made = Silences(connection).add(key, begin, ends, weekly=weekly, reason=reason, author=author)
    if as_json:
        sys.stdout.write(json.dumps(made.as_dict(), ensure_ascii=False) + "\n")
    else:
        typer.echo(f"{made.id}  {made.told()}")


@silence.command("list")
def list_(
    state: State,
    all_: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    as_json: options.Json = False,
) -> None:
    """What is silenced.

    Example: finance-monitor silence list --state monitor.db
    """
    from apps.finance_monitor import charts, tables
    from apps.finance_monitor.silences import Silences

    with tables.existing(state).read() as connection:
        now = charts.now(connection)
        found = [one for one in Silences(connection).all() if all_ or one.ends is None or one.ends > now]
    if as_json:
        options.print_json([one.as_dict() for one in found])
        return
    for one in found:
        typer.echo(f"{one.id}  {one.told()}")
    if not found:
        typer.echo("nothing is silenced")


@silence.command("end")
def end(id: Annotated[str, typer.Argument(help="As `silence list` shows it.")], state: State) -> None:
    """Let a silence hide nothing from now on.

    Example: finance-monitor silence end 0f3a61c29d5b7e48 --state monitor.db
    """
    from apps.finance_monitor import charts, tables
    from apps.finance_monitor.silences import Silences

    with tables.existing(state).write() as connection:
        Silences(connection).end(id, charts.now(connection))
    typer.echo(f"{id} is over")
