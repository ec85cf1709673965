"""`finance-monitor explain` and `finance-monitor verify`: why an alert fired, and whether it holds."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.finance_monitor import options
from engine import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

Companies = Annotated[Path | None, typer.Option(help="The watch list of that run, if it is no longer where it was.")]
Budget = Annotated[
    float | None, typer.Option(min=1e-6, max=96, help="The budget of false alarms, if not that of the alert's run.")
]
Lateness = Annotated[
    float | None,
    typer.Option(min=0, help="Minutes that late items are waited for, if not as in the alert's run."),
]
State = Annotated[str | None, typer.Option(help="The state of the run that raised it, a file or a database's URL.")]
Only = Annotated[str | None, typer.Option("--id", help="One alert of a log.")]
Calendar = Annotated[
    str | None, typer.Option(help="The country whose holidays are Sundays, if not as in the alert's run.")
]
Notices = Annotated[
    bool | None, typer.Option("--notices/--no-notices", help="Volume and drift told of as well, if not as in that run.")
]


def add(app: typer.Typer) -> None:
    """Put these commands into finance-monitor's."""
    app.command()(explain)
    app.command()(verify)


def explain(
    alert: Annotated[str, typer.Argument(help="An alert's id in the state, or a file with the alert.")],
    state: State = None,
    only: Only = None,
    false_alarms_per_day: Budget = None,
    lateness: Lateness = None,
    companies: Companies = None,
    calendar: Calendar = None,
    notices: Notices = None,
    as_json: options.Json = False,
) -> None:
    """The fewest stories without which an alert would not have fired, and the words that made its worst news negative.

    Example: finance-monitor explain 3f1c2a9b8d7e6f50 --state monitor.db
    """
    from apps.finance_monitor import journal, verdict_text
    from apps.finance_monitor.given import Given
    from apps.finance_monitor.reasons import reasons
    from engine import Progress

    told = _one(alert, state, only)
    settings = Given(false_alarms_per_day, lateness, companies, calendar, notices).beside(told, state=True)
    with Progress(quiet=as_json) as progress:
        progress.stage(f"explaining {told['id']}")
        found = reasons(told, settings, journal.recorded_in(state) if state else None)
    if as_json:
        options.print_json(found.document(told))
        return
    verdict_text.show_explanation(told, found.decisive, found.words)
    if state is None:
        typer.echo("For the stories that decided it, give --state, or use: finance-monitor verify")


def verify(
    alerts: Annotated[Path, typer.Argument(help="An alert's JSON, or a log of alerts.")],
    feed: Annotated[
        list[str] | None, typer.Option(help="The news that it came of, again for each feed; by default the state's.")
    ] = None,
    mapping: options.Mapping = None,
    state: State = None,
    only: Only = None,
    explained: Annotated[bool, typer.Option("--explain/--no-explain", help="Say why each alert fired.")] = True,
    false_alarms_per_day: Budget = None,
    lateness: Lateness = None,
    companies: Companies = None,
    calendar: Calendar = None,
    notices: Notices = None,
    as_json: options.Json = False,
) -> None:
    """Read the news again with the model that an alert names, and hold each field against what comes of it.

    Exit 0: all is equal; 1: something differs. With --state, news that it holds unchanged keeps the labels that it was
    given then, since those of a run under load may be the cheap model's. Without --feed all news is the state's.

    Example: finance-monitor verify alerts.jsonl --feed data/finance/news.jsonl
    """
    from apps.finance_monitor import checking, journal, verdict_text, verification
    from apps.finance_monitor.feeds import named
    from apps.finance_monitor.given import Given
    from apps.finance_monitor.mapping import Mapping
    from engine import Progress

    if not feed and state is None:
        raise errors.InputError("no news to verify by; give its --feed, or the --state that holds it")
    told = verification.read(alerts, only=only)
    given = Given(false_alarms_per_day, lateness, companies, calendar, notices)
    shape = Mapping.load(mapping) if mapping else None
    sources = [named(one, mapping=shape) for one in feed or ()]
    with Progress(quiet=as_json) as progress:
        known = journal.recorded_in(state) if state else []
        found = [
            one
            for alike in (list(group) for _, group in itertools.groupby(sorted(told, key=_run), _run))
            for one in checking.checked(
                alike, given.beside(alike[0], state=state is not None), sources, known, explained, progress
            )
        ]
    holds = all(one.verdict.holds for one in found)
    if as_json:
        options.print_json({"verified": holds, "alerts": [one.document() for one in found]})
    else:
        for one in found:
            verdict_text.show_verdict(one)
        typer.echo(f"{sum(one.verdict.holds for one in found)} of {len(found)} alerts verified")
        if not holds:
            typer.echo("An alert of an older version carries no settings: give those of its run as options.")
    if not holds:
        raise typer.Exit(1)


def _one(alert: str, state: str | None, only: str | None) -> Mapping[str, Any]:
    from apps.finance_monitor import journal, verification

    if Path(alert).is_file():
        found = verification.read(Path(alert), only=only)
        if len(found) > 1:
            known = ", ".join(one["id"] for one in found)
            raise errors.InputError(f"{alert}: holds {len(found)} alerts; name one of them with --id: {known}")
        return found[0]
    if state is None:
        raise errors.InputError(f"{alert}: no such file; for an alert's id, give the --state that holds it")
    return journal.alert_in(state, alert)


def _run(told: Mapping[str, Any]) -> str:
    """The same for alerts that one replay can verify."""
    return json.dumps([told["model"], told.get("settings")], sort_keys=True)
