"""`engine retrain`: feedback into a challenger, and the better of the two into use, once or on schedule."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from engine.db.option import Url
from engine.printing import Json, print_json, print_table

if TYPE_CHECKING:
    from engine.decision import Decision
    from engine.feedback import FeedbackLog
    from engine.schedule import When

Settings = Annotated[list[str], typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the recipe.")]


def retrain(
    name: Annotated[str, typer.Argument(help="A model's name.")],
    when: Annotated[
        str | None, typer.Option(help='Only when it is due: N new rows, N days, drift, joined by "or" and "and".')
    ] = None,
    every: Annotated[float | None, typer.Option(min=0.1, help="Minutes between looks, for good; with --when.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would learn from, and change nothing.")
    ] = False,
    fresh: Annotated[bool, typer.Option(help="Begin anew, whatever a killed retrain left.")] = False,
    database: Url = None,
    settings: Settings = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Train a challenger on the feedback that is new to the champion; it takes its place if every gate holds.

    When one does not, nothing changes, and the report says why. A retrain that was killed goes on where it was.

    Example: engine retrain finance-news --when "500 new rows or drift"
    """
    from engine import errors, feedback, schedule

    conditions = schedule.parse(when) if when is not None else None
    if every is not None and conditions is None:
        raise errors.InputError('--every: says how often to look; say what for with --when, such as "500 new rows"')
    with feedback.opened(database) as log:
        if dry_run:
            _plan(name, log, settings, as_json)
            return
        while True:
            try:
                if conditions is None:
                    _run(name, log, settings, fresh, as_json)
                else:
                    _when_due(name, log, conditions, settings, fresh, as_json)
            except errors.KeelError as fault:
                if every is None:
                    raise
                typer.echo(f"error: {fault}", err=True)  # the next look may find it mended
            if every is None:
                return
            time.sleep(60 * every)


def _when_due(name: str, log: FeedbackLog, conditions: When, settings: list[str], fresh: bool, as_json: bool) -> None:
    """Retrain if it is due and there is something to learn, and say so if not: a job that runs by the clock is well."""
    from engine import schedule
    from engine.challenger import NothingNew
    from engine.decision import unfinished
    from engine.store import Store

    champion = Store().get(name)
    told = ""
    if not unfinished(champion.name):
        found = schedule.due(conditions, champion, log)
        told = "" if found.held else found.told
    if not told:
        try:
            return _run(name, log, settings, fresh, as_json)
        except NothingNew as fault:
            told = str(fault)
    if as_json:
        print_json({"name": champion.name, "due": False, "why": told})
    else:
        typer.echo(f"{champion} is not retrained: {told}")
    return None


def _run(name: str, log: FeedbackLog, settings: list[str], fresh: bool, as_json: bool) -> None:
    from engine.progress import Progress

    with Progress(quiet=as_json) as progress:
        progress.stage("loading torch and transformers")
        from engine.retraining import retrain as run

        _tell(run(name, log, settings=settings, fresh=fresh, watcher=progress), as_json)


def _tell(decision: Decision, as_json: bool) -> None:
    if as_json:
        print_json(decision.as_dict())
        return
    rows = [
        {
            "gate": gate.name,
            "held": "yes" if gate.held else "NO",
            "figure": f"{gate.figure:+.4f}",
            "bound": f"{gate.bound:+.4f}",
            "95% interval": f"{gate.interval[0]:+.4f} to {gate.interval[1]:+.4f}" if gate.interval else "",
            "what it is": gate.note,
        }
        for gate in decision.gates
    ]
    print_table(decision.why.partition(":")[0], rows)
    typer.echo(f"The report is in {decision.report}")


def _plan(name: str, log: FeedbackLog, settings: list[str], as_json: bool) -> None:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from engine.challenger import plan
    from engine.decision import reasons
    from engine.store import Store

    with TemporaryDirectory() as aside:
        found = plan(Store().get(name), log, settings, Path(aside), dry=True)
    taught = found.feedback
    if as_json:
        print_json({"champion": found.champion, "feedback": vars(taught), "aside": [vars(one) for one in found.aside]})
        return
    typer.echo(
        f"{found.champion} would learn {taught.rows} new rows of {len(taught.learnt)} pieces of feedback, and "
        f"{taught.replayed} of its own again"
    )
    if taught.new_labels:
        typer.echo(f"New labels: {', '.join(taught.new_labels)}; {len(taught.held)} pieces of feedback judge them")
    print_table("Set aside", [{"pieces": count, "why": reason} for reason, count in reasons(found.aside)])
