"""`finance-monitor backtest`: the alarms on a history, against what is known to have happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.finance_monitor import options
from engine import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.finance_monitor.alert import Alert
    from apps.finance_monitor.backtest import Event
    from apps.finance_monitor.chance import Chance
    from apps.finance_monitor.feeds.source import Source
    from apps.finance_monitor.history import History
    from apps.finance_monitor.trial import Trial


def backtest(
    feed: Annotated[list[str], typer.Option(help="A file of news items as JSON lines; more than once for more.")],
    events: Annotated[
        Path | None,
        typer.Option(help="What happened: kind, key, start, end a line. Without it alarms are counted, not judged."),
    ] = None,
    mapping: options.Mapping = None,
    false_alarms_per_day: options.Budget = 0.5,
    calendar: options.Calendar = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Try other budgets too; the news is labelled once.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots here, which needs nothing else.")] = None,
    companies: options.Companies = None,
    dead_letters: options.Dead = None,
    as_json: options.Json = False,
) -> None:
    """Score the alarms on a feed whose surges and decoys are known.

    Example: finance-monitor backtest --feed data/finance/news.jsonl --events data/finance/news.events.jsonl --sweep
    """
    if html and not html.parent.is_dir():
        raise errors.InputError(f"--html {html}: the folder {html.parent} does not exist; make it first")
    from apps.finance_monitor import backtest as scoring
    from apps.finance_monitor.chance import chance
    from apps.finance_monitor.feeds import named
    from apps.finance_monitor.mapping import Mapping
    from apps.finance_monitor.season import free_days
    from apps.finance_monitor.trial import BUDGETS, Trial

    planted = None if events is None else scoring.events(events)
    shape = Mapping.load(mapping) if mapping else None
    if calendar:
        free_days(calendar)  # a name that is none is told before the news is labelled
    sources = [named(one, mapping=shape) for one in feed]
    history = _history(sources, companies, options.dead_letters(dead_letters), calendar, quiet=as_json)
    trial = Trial.of(history, planted, false_alarms_per_day)
    against = chance(trial.course, trial.score) if trial.score else None
    others = [Trial.of(history, planted, budget) for budget in BUDGETS] if sweep else []
    if as_json:
        document = _document(trial, against, others)
        options.print_json(document)
    else:
        _tell(trial, against, others)
    if html:
        from apps.finance_monitor.backtest_page import page
        from apps.finance_monitor.lines import replace

        replace(html, [page(trial, planted or [], against, others)])
        typer.echo(f"plots in {html}", err=as_json)


def _history(
    sources: Sequence[Source], companies: Path | None, dead_letters: Path, calendar: str | None, *, quiet: bool
) -> History:
    from apps.finance_monitor import run, watchfile
    from apps.finance_monitor.history import History
    from apps.finance_monitor.watchlist import WatchList
    from engine import Progress

    with Progress(quiet=quiet) as progress:
        listed = watchfile.read(companies) if companies else WatchList()
        loaded = run.models(progress)
        progress.stage(f"reading {', '.join(source.name for source in sources)}")
        return History.read(sources, loaded, listed, dead_letters, calendar)


def _tell(trial: Trial, against: Chance | None, others: Sequence[Trial]) -> None:
    from apps.finance_monitor.telling import told

    if trial.score:
        for match in trial.score.found:
            typer.echo(f"found   {match.event.name}, {match.delay:.2f} windows after its start")
        for event in trial.score.missed:
            typer.echo(f"missed  {event.name}")
        for alert in trial.score.repeats:
            typer.echo(f"again   {_named(alert)}")
        for alert in trial.score.false_alarms:
            typer.echo(f"false   {_named(alert)}")
    else:
        for alert in trial.course.alerts:
            typer.echo(f"alarm   {_named(alert)}")
    for line in told(trial, against):
        typer.echo(line)
    if others:
        typer.echo("\nbudget a day   recall  precision  mean delay   alarms a day   false a day")
    for one in others:
        figures = [f"{one.score.recall:9.2f}{one.score.precision:11.2f}{one.score.mean_delay_windows:12.2f}"
                   if one.score else f"{'-':>9}{'-':>11}{'-':>12}"]  # fmt: skip
        false = f"{one.false_alarms(one.score).a_day:14.3f}" if one.score else f"{'-':>14}"
        typer.echo(f"{one.budget:12g}{figures[0]}{one.alarms.a_day:15.3f}{false}")


def _named(alert: Alert) -> str:
    return f"{alert.key.type} {alert.key.value} at {alert.opened:%Y-%m-%d %H:%M}, {alert.observed} stories"


def _document(trial: Trial, against: Chance | None, others: Sequence[Trial]) -> dict[str, Any]:
    document = trial.as_dict()
    score = trial.score
    if score and against:
        document |= {
            "p_value": against.p_value,
            "p_value_resolution": against.resolution,
            "found": [_event(match.event) | {"delay_windows": match.delay, "alert": match.alert.id}
                      for match in score.found],
            "missed": [_event(event) for event in score.missed],
            "repeated": [alert.as_dict() for alert in score.repeats],
            "false": [alert.as_dict() for alert in score.false_alarms],
        }  # fmt: skip
    else:
        document["alerts"] = [alert.as_dict() for alert in trial.course.alerts]
    if others:
        document["sweep"] = [one.as_dict() for one in others]
    return document


def _event(event: Event) -> dict[str, Any]:
    return {
        "key": {"type": event.key.type, "value": event.key.value},
        "start": event.start.isoformat(),
        "end": event.end.isoformat(),
    }
