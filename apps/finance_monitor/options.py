"""Options that several commands share, and how they print JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]
Mapping = Annotated[
    str | None, typer.Option(help="A YAML file that tells how items of another shape are read; or ninjs, or csv.")
]
Cascade = Annotated[
    bool, typer.Option("--cascade/--no-cascade", help="Leave titles that a cheap model is sure of to it.")
]
KeepItems = Annotated[
    float,
    typer.Option(
        min=0,
        help="Days of the feed's time that --state holds items, for verify and for the next version; 0: for ever.",
    ),
]
Pushed = Annotated[
    str | None,
    typer.Option(
        "--mapping",
        help="A YAML file that tells how items of another shape are read, from feeds and pushed; or ninjs. "
        "One of CSV is for files alone: what is pushed keeps Keel's shape.",
    ),
]
Lateness = Annotated[float, typer.Option(min=0, help="Minutes of event time that a late item is waited for.")]
Backlog = Annotated[int, typer.Option(min=64, help="Items that may wait before the cheap model labels all of them.")]
Poll = Annotated[float, typer.Option(min=1, help="Seconds between two looks at a web feed.")]
Companies = Annotated[
    Path | None,
    typer.Option(
        help="Companies to watch: names a line; or YAML, JSON lines or CSV of name, aliases, tickers, and words that "
        "must or must_not stand near."
    ),
]
Budget = Annotated[float, typer.Option(min=1e-6, max=96, help="The budget of false alarms.")]
Calendar = Annotated[
    str | None, typer.Option(help="A country whose public holidays are taken for Sundays, as US, GB or CN.")
]
Notices = Annotated[bool, typer.Option("--notices", help="Tell of volume out of proportion and of slow drift as well.")]
Dead = Annotated[
    Path | None,
    typer.Option(
        help="Where what is no news item is added, whole and with its reason; by default dead_letters.jsonl, or with a "
        "file for --state STATE.dead_letters.jsonl."
    ),
]
Webhooks = Annotated[
    list[str] | None,
    typer.Option("--webhook", help="Post alerts here in Alertmanager's shape, signed by KEEL_WEBHOOK_SECRET."),
]
Slacks = Annotated[list[str] | None, typer.Option("--slack", help="Post them here as Slack reads them.")]
Mail = Annotated[
    list[str] | None,
    typer.Option(
        "--smtp",
        help="Mail them: smtp://USER@HOST:PORT/?from=ADDRESS&to=ADDRESS&starttls=1, the password in "
        "KEEL_SMTP_PASSWORD.",
    ),
]
EscalateTo = Annotated[
    list[str] | None,
    typer.Option(help="A webhook or smtp:// that is told of critical alerts, and of those that go on firing."),
]
EscalateAfter = Annotated[
    float, typer.Option(min=0, help="Minutes of event time after which an alert that still fires is escalated.")
]


def dead_letters(given: Path | None, state: str | None = None) -> Path:
    """Where a run's dead letters go: those of each state lie beside it."""
    if given:
        return given
    file = state and state.removeprefix("sqlite:///")
    return Path(f"{file}.dead_letters.jsonl") if file and "://" not in file else Path("dead_letters.jsonl")


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
