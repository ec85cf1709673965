"""`recommender retrain`: what users did since the training, and the better of two recommenders into use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.recommender.options import NAME, Json, Lists, Others, print_json
from apps.recommender.serve_cli import Tenant
from engine.db.option import Url


def add(app: typer.Typer) -> None:
    """Put this command into recommender's."""
    app.command()(retrain)


def retrain(
    model: Annotated[str, typer.Option(help="The stored recommender's name; its champion is to be beaten.")] = NAME,
    judged: Annotated[
        float, typer.Option(min=0.1, max=0.9, help="Share of the new events, the newest, that judge and never teach.")
    ] = 0.5,
    golden: Annotated[
        Path | None,
        typer.Option(
            help="Lists that you trust, of users whose events are not told: list_id, user_id, item_id, datetime, "
            "wanted (.csv, .jsonl, .parquet). The challenger must not be worse on them."
        ),
    ] = None,
    lists: Lists = 5000,
    others: Others = 0,
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Train a challenger on what the service wrote down; it goes live only if it ranks later lists better.

    Example: recommender retrain --model recommender
    """
    from apps.recommender import tables
    from apps.recommender.golden import Golden
    from apps.recommender.held_out import Plan
    from apps.recommender.logbook import Logbook
    from apps.recommender.ranker import Recommender
    from apps.recommender.retrain import left_over
    from apps.recommender.retrain import retrain as run
    from engine import Progress

    if decision := left_over(model):
        typer.echo(f"{decision.challenger} is champion now, as was decided before a kill; run again for what is newer")
        return
    with Progress(quiet=as_json) as progress:
        champion = Recommender.load(model)
        trusted = Golden.read(golden, champion.items) if golden else None
        told = champion.settings
        plan = Plan(lists=lists, others=others, behaviours=tuple(told.values), seed=told.seed)
        log = Logbook(tables.opened(database), tenant)
        made = run(model, log, plan=plan, judged=judged, golden=trusted, progress=progress)
    if as_json:
        print_json({"decision": made.decision.as_dict(), "evaluation": made.evaluation.document()})
        return
    from apps.recommender.summary import show

    show(made.evaluation)
    typer.echo(made.decision.why)
    typer.echo(f"The report is in {made.decision.report}")
