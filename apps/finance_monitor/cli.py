"""`finance-monitor ...`: follow a feed, or score the alarms on a feed with planted events."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.finance_monitor import backtest_cli, options, resend_cli, serve_cli, silence_cli, verify_cli
from engine import errors

if TYPE_CHECKING:
    from apps.finance_monitor.dashboard import Dashboard
    from apps.finance_monitor.journal import Change
    from apps.finance_monitor.run import Result
    from apps.finance_monitor.sinks import Sink

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Follow news by topic and company; raise an alarm when negative news surges.\n\n"
    "Example: finance-monitor --feed news.jsonl --alerts alerts.jsonl",
)
verify_cli.add(app)


@app.callback(invoke_without_command=True)
def follow_feed(
    context: typer.Context,
    feed: Annotated[
        list[str] | None,
        typer.Option(
            help="News items as JSON lines: a file, 'news/*.jsonl', or - for standard input; the URL of an RSS or Atom "
            "feed; redis://HOST:PORT/DB?stream=NAME&group=G; kafka://HOST:PORT/TOPIC?group=G. May be given again."
        ),
    ] = None,
    mapping: options.Mapping = None,
    poll: options.Poll = 60.0,
    alerts: Annotated[
        Path | None,
        typer.Option(
            help="Write alerts here, one JSON object a line; with --follow or --state as they open and as they end."
        ),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what comes, until Ctrl-C.")] = False,
    state: Annotated[
        str | None,
        typer.Option(
            help="A file, or a database's URL, that keeps what was read and found: the next run goes on there, "
            "exactly, even after a kill."
        ),
    ] = None,
    lateness: Annotated[
        float,
        typer.Option(
            min=0,
            help="Minutes of event time that a late item is waited for, with --follow or --state; without them up to "
            "100,000 items at a time are put in order.",
        ),
    ] = 5.0,
    keep_items: options.KeepItems = 90.0,
    false_alarms_per_day: options.Budget = 0.5,
    webhook: options.Webhooks = None,
    slack: options.Slacks = None,
    smtp: options.Mail = None,
    escalate_to: options.EscalateTo = None,
    escalate_after: options.EscalateAfter = 30.0,
    calendar: options.Calendar = None,
    notices: options.Notices = False,
    companies: options.Companies = None,
    cascade: options.Cascade = False,
    backlog: Annotated[
        int,
        typer.Option(min=64, help="Items that may wait, with --follow, before the cheap model labels all of them."),
    ] = 2000,
    dead_letters: options.Dead = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Draw trends and alerts on the terminal while the news is read.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Read a feed in order of time and raise alarms."""
    if context.invoked_subcommand:
        return
    if not feed:
        raise errors.InputError("no feed; try: finance-monitor --feed news.jsonl, or finance-monitor --help")
    _check_writable(alerts)
    if (webhook or slack or smtp or escalate_to) and state is None:
        raise errors.InputError(
            "--webhook, --slack, --smtp and --escalate-to need --state FILE, which keeps what they have been told"
        )
    from apps.finance_monitor import sinks

    told = sinks.configured(webhook or (), slack or (), smtp or (), escalate_to or (), escalate_after)
    live = follow or state is not None
    result = _run(
        feed,
        mapping=mapping,
        poll=poll,
        companies=companies,
        dead_letters=options.dead_letters(dead_letters, state),
        quiet=as_json,
        follow=follow,
        log=alerts if live else None,
        state=state,
        sinks=told,
        keep_items=keep_items,
        budget=false_alarms_per_day,
        calendar=calendar,
        notices=notices,
        lateness=lateness,
        dashboard=dashboard,
        cascade=cascade,
        backlog=backlog,
    )
    from apps.finance_monitor.run import write_alerts

    if alerts and not live:
        write_alerts(result.alerts, alerts)
    if as_json:
        options.print_json(_document(result))
        return
    from apps.finance_monitor.summary import show

    show(result)
    if alerts:
        typer.echo(f"{len(result.alerts)} alerts in {alerts}")


app.command()(backtest_cli.backtest)


app.command("serve")(serve_cli.serve)
app.add_typer(serve_cli.keys, name="keys")
app.add_typer(silence_cli.silence, name="silence")
app.command("resend")(resend_cli.resend)


@app.command("train")
def train_models(
    again: Annotated[bool, typer.Option("--again", help="Train anew what is there already.")] = False,
    base: Annotated[str, typer.Option(help="A base model: a name, a folder or a hub id.")] = "minilm",
    most: Annotated[
        int | None,
        typer.Option(min=100, help="Headlines about several companies to learn from, for a quick try; by default all."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Train the models that the monitor reads with: news with its companies, and the sentiment towards each.

    Example: finance-monitor train
    """
    from apps.finance_monitor.learn import learn
    from engine import Progress

    with Progress(quiet=as_json) as progress:
        made = learn(progress, base=base, again=again, most=most)
    if as_json:
        options.print_json({"trained": made})
        return
    typer.echo(f"trained {', '.join(made.values())}" if made else "all models are there; --again trains them anew")


def main() -> None:
    """Entry point of `finance-monitor`."""
    errors.run(lambda: app(standalone_mode=True))


def _run(
    feeds: Sequence[str],
    *,
    companies: Path | None,
    dead_letters: Path,
    quiet: bool,
    mapping: str | None = None,
    poll: float = 60.0,
    follow: bool = False,
    log: Path | None = None,
    state: str | None = None,
    sinks: Sequence[Sink] = (),
    keep_items: float = 90.0,
    budget: float = 0.5,
    calendar: str | None = None,
    notices: bool = False,
    lateness: float = 5.0,
    dashboard: bool = False,
    cascade: bool = False,
    backlog: int = 2000,
) -> Result:
    from datetime import timedelta

    from apps.finance_monitor.feeds import named
    from apps.finance_monitor.mapping import Mapping

    shape = Mapping.load(mapping) if mapping else None
    sources = [named(feed, follow=follow, poll=poll, mapping=shape) for feed in feeds]
    from apps.finance_monitor import run
    from engine import Progress

    with Progress(quiet=quiet) as progress:
        loaded = run.models(progress, cascade=cascade, spare=follow)
        progress.stage(f"reading {', '.join(source.name for source in sources)}")
    board = _dashboard(state, sinks) if dashboard and not quiet and sys.stdout.isatty() else None
    with board or contextlib.nullcontext():
        return run.monitor(
            sources,
            loaded,
            follow=follow,
            watch_list=companies,
            dead_letters=dead_letters,
            log=log,
            state=state,
            sinks=sinks,
            keep_items=timedelta(days=keep_items) if keep_items else None,
            budget=budget,
            calendar=calendar,
            notices=notices,
            lateness=timedelta(minutes=lateness),
            backlog=backlog,
            on_change=_tell if (follow or dashboard) and not quiet and not board else None,
            on_pulse=board.take if board else None,
        )


def _dashboard(state: str | None, sinks: Sequence[Sink]) -> Dashboard:
    from rich.console import Console

    from apps.finance_monitor import queues, tables
    from apps.finance_monitor.dashboard import Dashboard

    if not (state and sinks):
        return Dashboard(Console())
    database, lines = tables.opened(state), queues.queues(sinks)
    return Dashboard(Console(), waiting=lambda now: queues.waiting(database, lines, now))


def _tell(change: Change) -> None:
    alert = json.loads(change.line)
    word = "ended " if change.status == "resolved" else "ALARM " if change.revision == 1 else "update"
    time = alert["updated"]
    typer.echo(
        f"{time[:10]} {time[11:16]}  {word} {alert['key']['type']} {alert['key']['value']}: "
        f"{alert['observed']} negative stories"
    )


def _document(result: Result) -> dict[str, Any]:
    tally = result.tally
    return {
        "alerts": list(result.alerts.values()),
        "items": tally.items,
        "stories": tally.stories,
        "off_topic": tally.off_topic,
        "price_recaps": tally.price_recaps,
        "sentiments": dict(tally.sentiments),
        "topics": dict(tally.topics),
        "negative_topics": dict(tally.negative_topics),
        "unlabelled": dict(tally.unlabelled),
        "routes": dict(tally.routes),
        "overload_items": tally.routes["overload"],
        "late": result.arrivals.late,
        "duplicates": result.arrivals.duplicates,
        "held": result.arrivals.held,
        "dead_letters": result.dead,
        "undelivered": result.waiting,
        "given_up": result.given_up,
    }


def _check_writable(path: Path | None) -> None:
    if path and not path.parent.is_dir():
        raise errors.InputError(f"--alerts {path}: the folder {path.parent} does not exist; make it first")
