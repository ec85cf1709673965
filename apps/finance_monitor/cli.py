"""`finance-monitor ...`: follow a feed, or score the alarms on a feed with planted events."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine import errors

if TYPE_CHECKING:
    from apps.finance_monitor.alarms import Alert
    from apps.finance_monitor.run import Result

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Follow news by topic and company; raise an alarm when negative news surges.\n\n"
    "Example: finance-monitor --feed news.jsonl --alerts alerts.jsonl",
)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]
Companies = Annotated[Path | None, typer.Option(help="A watch list, a company's name a line.")]
Dead = Annotated[Path, typer.Option(help="Where lines that are no news items go.")]


@app.callback(invoke_without_command=True)
def follow_feed(
    context: typer.Context,
    feed: Annotated[
        str | None, typer.Option(help="A file of news items as JSON lines, or - for standard input.")
    ] = None,
    alerts: Annotated[Path | None, typer.Option(help="Write alerts here, one JSON object a line.")] = None,
    follow: Annotated[
        bool, typer.Option(help="Go on as the file grows; alerts are appended as they open and end.")
    ] = False,
    companies: Companies = None,
    dead_letters: Dead = Path("dead_letters.jsonl"),
    as_json: Json = False,
) -> None:
    """Read a feed in order of time and raise alarms."""
    if context.invoked_subcommand:
        return
    if feed is None:
        raise errors.InputError("no feed; try: finance-monitor --feed news.jsonl, or finance-monitor --help")
    _check_writable(alerts)
    if follow and alerts:
        alerts.touch()
    result = _run(feed, follow=follow, companies=companies, dead_letters=dead_letters, quiet=as_json, live=alerts)
    from apps.finance_monitor.run import write_alerts

    if alerts and not follow:
        write_alerts(result.alerts, alerts)
    if as_json:
        _print_json(_document(result))
        return
    from apps.finance_monitor.summary import show

    show(result)
    if alerts:
        typer.echo(f"{len(result.alerts)} alerts in {alerts}")


@app.command()
def backtest(
    feed: Annotated[str, typer.Option(help="A file of news items as JSON lines.")],
    events: Annotated[Path, typer.Option(help="Planted events: kind, key, start, end a line.")],
    companies: Companies = None,
    dead_letters: Dead = Path("dead_letters.jsonl"),
    as_json: Json = False,
) -> None:
    """Score the alarms on a feed whose surges and decoys are known.

    Example: finance-monitor backtest --feed data/finance/news.jsonl --events data/finance/news.events.jsonl
    """
    from apps.finance_monitor import backtest as scoring

    planted = scoring.events(events)
    result = _run(feed, follow=False, companies=companies, dead_letters=dead_letters, quiet=as_json)
    found = scoring.score(result.alerts.values(), planted)
    document = {
        "recall": found.recall,
        "max_delay_windows": found.max_delay_windows,
        "false_alarms": len(found.false_alarms),
        "delays": found.found,
        "missed": found.missed,
        "false": [alert.as_dict() for alert in found.false_alarms],
    }
    if as_json:
        _print_json(document)
        return
    for name, delay in found.found.items():
        typer.echo(f"found   {name}, {delay:.2f} windows after its start")
    for name in found.missed:
        typer.echo(f"missed  {name}")
    for alert in found.false_alarms:
        typer.echo(
            f"false   {alert.key.type} {alert.key.value} at {alert.opened:%Y-%m-%d %H:%M}, {alert.observed} stories"
        )
    delay, false = found.max_delay_windows, len(found.false_alarms)
    typer.echo(f"recall {found.recall:.2f}, largest delay {delay:.2f} windows, {false} false")


def main() -> None:
    """Entry point of `finance-monitor`."""
    errors.run(lambda: app(standalone_mode=True))


def _run(
    feed: str, *, follow: bool, companies: Path | None, dead_letters: Path, quiet: bool, live: Path | None = None
) -> Result:
    if feed != "-" and not follow and not Path(feed).is_file():
        raise errors.InputError(f"{feed}: no such feed; give a file of JSON lines, or - for standard input")
    from apps.finance_monitor import run
    from engine import Progress

    with Progress(quiet=quiet) as progress:
        loaded = run.models(progress)
        progress.stage(f"reading {feed}")

        def tell(alert: Alert) -> None:
            if follow:
                _tell_live(alert, live, as_json=quiet)

        return run.monitor(
            feed,
            loaded,
            follow=follow,
            watch_list=companies,
            dead_letters=dead_letters,
            on_alert=tell,
        )


def _tell_live(alert: Alert, path: Path | None, *, as_json: bool) -> None:
    line = json.dumps(alert.as_dict(), ensure_ascii=False) + "\n"
    if path:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line)
    if not as_json:
        state = "ended " if alert.closed else "ALARM "
        time = alert.closed or alert.opened
        typer.echo(
            f"{time:%Y-%m-%d %H:%M}  {state} {alert.key.type} {alert.key.value}: {alert.observed} negative stories"
        )


def _document(result: Result) -> dict[str, Any]:
    tally = result.tally
    return {
        "alerts": [alert.as_dict() for alert in result.alerts.values()],
        "items": tally.items,
        "stories": tally.stories,
        "off_topic": tally.off_topic,
        "price_recaps": tally.price_recaps,
        "sentiments": dict(tally.sentiments),
        "topics": dict(tally.topics),
        "negative_topics": dict(tally.negative_topics),
        "unlabelled": dict(tally.unlabelled),
        "dead_letters": result.dead,
    }


def _check_writable(path: Path | None) -> None:
    if path and not path.parent.is_dir():
        raise errors.InputError(f"--alerts {path}: the folder {path.parent} does not exist; make it first")


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
