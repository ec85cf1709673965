"""`recommender train`: items and what users did in, a stored recommender and its figures out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.recommender import options
from apps.recommender.options import NAME, Dead, Json, Lists, Others, letters, print_json, writable

if TYPE_CHECKING:
    from apps.recommender.evaluate import Evaluation
    from apps.recommender.ranker import Recommender
    from apps.recommender.settings import Settings


def add(app: typer.Typer) -> None:
    """Put this command into recommender's."""
    app.command()(train)


def train(
    items: Annotated[
        Path | None,
        typer.Option(help="Items as .jsonl, .csv, .tsv or .parquet: item_id, title, description, tags, price, ..."),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            help="Events as .parquet, .jsonl or .csv (user_id, item_id, event, weight, datetime), or a folder of MIND, "
            "RecBole or MovieLens. Without items and events: Keel's own shop."
        ),
    ] = None,
    exposures: options.Shown = None,
    users: Annotated[
        Path | None,
        typer.Option(
            help="Users as .jsonl, .csv or .parquet: user_id, and the field that the setting `segment` names; who has "
            "no history is ranked by what their segment takes."
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Settings as YAML: what each behaviour is worth, sizes, how lists look.")
    ] = None,
    name: Annotated[str, typer.Option(help="What to store it as.")] = NAME,
    base: Annotated[str | None, typer.Option(help='Model that reads the texts: "minilm", "multilingual", ...')] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same data, settings and seed: the same lists.")] = None,
    hold_out: Annotated[
        float,
        typer.Option(
            min=0,
            help="Newest days that it is measured on and that its models do not see; of events without times each "
            "user's last. 0: all is learnt from, and nothing measured.",
        ),
    ] = 7.0,
    lists: Lists = 5000,
    others: Others = 0,
    promote: Annotated[bool, typer.Option(help="Make it champion, which the other commands load.")] = True,
    dead_letters: Dead = Path("dead_events.jsonl"),
    as_json: Json = False,
) -> None:
    """Learn what users take next; measure every part of it on the newest days; store all of it as one version.

    Example: recommender train --items items.jsonl --events events.parquet --settings settings.yaml
    """
    writable(dead_letters, "--dead-letters")
    from apps.recommender import sources
    from apps.recommender.held_out import Plan
    from apps.recommender.ranker import Recommender
    from apps.recommender.training import Training
    from apps.recommender.trial import Trial
    from engine import Progress

    with Progress(quiet=as_json) as progress:
        source = sources.given(items, events, exposures, users, settings, progress)
        told = _changed(source.settings, base, seed)
        done: Evaluation | None = None
        if hold_out:
            plan = Plan(hold_out, lists=lists, others=others, behaviours=tuple(told.values), seed=told.seed)
            trial = Trial.of(source.items, source.events, told, plan, progress, source.exposures, source.users)
            made, done = trial.save(name, promote=promote), trial.evaluation
        else:
            training = Training.of(source.items, source.events, told, progress, source.exposures)
            made = Recommender.learnt(training, source.users).save(name, promote=promote)
    if source.dead:
        letters(dead_letters, source.dead)
    if as_json:
        print_json(_document(made, done, len(source.dead)))
        return
    if done:
        from apps.recommender.summary import show

        show(done)
    seconds = ", ".join(f"{stage} {taken:g}" for stage, taken in made.seconds.items() if taken)
    typer.echo(f"seconds: {sum(made.seconds.values()):.0f} in all; {seconds}")
    if source.dead:
        first = source.dead[0]
        typer.echo(
            f"{len(source.dead)} rows of events left out, see {dead_letters}; the first: {first.file}, line "
            f"{first.line}: {first.reason}"
        )
    if empty := made.items.without_text:
        typer.echo(f"{empty} of {len(made.items)} items have no text; they are ranked by everything else")
    typer.echo(f"{made.version} is {'champion now' if promote else 'stored'}; try: recommender rank --user USER")


def _changed(settings: Settings, base: str | None, seed: int | None) -> Settings:
    if base is not None:
        settings = settings.model_copy(update={"text": settings.text.model_copy(update={"base": base})})
    return settings if seed is None else settings.model_copy(update={"seed": seed})


def _document(made: Recommender, done: Evaluation | None, rejected: int) -> dict[str, Any]:
    return {
        "version": made.version,
        "items": len(made.items),
        "events": len(made.events),
        "rejected": rejected,
        "seconds": dict(made.seconds),
        "evaluation": done.document() if done else None,
    }
