"""`recommender evaluate`: what every part of it is worth, and how that was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.recommender import options
from apps.recommender.options import NAME, Dead, Json, Lists, Name, Others, letters, print_json, writable


def add(app: typer.Typer) -> None:
    """Put this command into recommender's."""
    app.command()(evaluate)


def evaluate(
    events: Annotated[
        Path | None,
        typer.Option(
            help="Events as `train` reads them: it is measured on those that came after all that it knows. Without: "
            "the figures of its training, on the days that were held out."
        ),
    ] = None,
    exposures: options.Shown = None,
    model: Name = NAME,
    lists: Lists = 5000,
    others: Others = 0,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots here, which needs nothing else.")] = None,
    dead_letters: Dead = Path("dead_events.jsonl"),
    as_json: Json = False,
) -> None:
    """Print the protocol, the ablation with paired intervals, and slices by age and activity.

    Example: recommender evaluate --events this-week.parquet --html report.html
    """
    writable(dead_letters, "--dead-letters")
    if html:
        writable(html, "--html")
    from apps.recommender import trial

    if events is None:
        done = trial.stored(model)
    else:
        from apps.recommender import readers
        from apps.recommender.exposures import Exposures
        from apps.recommender.held_out import Plan
        from apps.recommender.ranker import Recommender
        from engine import Progress

        with Progress(quiet=as_json) as progress:
            recommender = Recommender.load(model)
            progress.stage(f"reading {events}")
            data = readers.read(events)
            if data.dead:
                letters(dead_letters, data.dead)
                typer.echo(f"{len(data.dead)} rows of events left out, see {dead_letters}", err=True)
            progress.stage("measuring")
            told = recommender.settings
            plan = Plan(lists=lists, others=others, behaviours=tuple(told.values), seed=told.seed)
            shown = Exposures.read(exposures) if exposures else None
            done = trial.later(recommender, data.events, plan, shown)
    if html:
        from apps.recommender.report import page

        html.write_text(page(done), encoding="utf-8")
        typer.echo(f"plots in {html}", err=as_json)
    if as_json:
        print_json(done.document())
        return
    from apps.recommender.summary import show

    show(done)
