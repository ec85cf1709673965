"""`finance-monitor resend`: changes that a sink refused too often, once more."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from apps.finance_monitor import options


def resend(
    state: Annotated[str, typer.Option(help="The monitor's state: its file, or its database's URL.")],
    as_json: options.Json = False,
) -> None:
    """Send changes of alerts again that were given up after too many tries; the monitor does, or its next run.

    One that a later change of its alert has overtaken is not sent: it would tell what is no longer so.

    Example: finance-monitor resend --state monitor.db
    """
    from apps.finance_monitor import tables, undelivered

    with tables.existing(state).write() as connection:
        found = undelivered.send_again(connection)
    if as_json:
        options.print_json([asdict(one) for one in found])
        return
    for one in found:
        what = "overtaken by a later change, not sent" if one.overtaken else "is sent again"
        typer.echo(f"{one.sink}: {one.message} {what} ({one.reason})")
    if not found:
        typer.echo("nothing was given up")
