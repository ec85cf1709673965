"""`recommender simulate`: a shop's log whose truth is known."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kind(StrEnum):
    parquet = "parquet"
    jsonl = "jsonl"


def add(app: typer.Typer) -> None:
    """Put this command into recommender's."""
    app.command()(simulate)


def simulate(
    out: Annotated[Path, typer.Option(help="The new folder: events, exposures, lists, and world.json.")],
    users: Annotated[int, typer.Option(min=1, help="How many users.")] = 800,
    weeks: Annotated[int, typer.Option(min=1, help="How many weeks, up to 2 March 2026.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 13,
    kind: Annotated[Kind, typer.Option("--format", help="Of the files.")] = Kind.parquet,
    catalog: Annotated[
        Path | None,
        typer.Option(help="A folder with items.jsonl, meanings.jsonl and tastes.jsonl; else Keel's own data/catalog."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")] = False,
) -> None:
    """Simulate a shop: users whose tastes drift, lists with known propensities, and what was clicked and bought.

    Example: recommender simulate --out shop --users 800 --weeks 12 --seed 13
    """
    from apps.recommender.simulate import write
    from apps.recommender.world import World

    counts = write(World(users=users, weeks=weeks, seed=seed), out, kind=kind.value, catalog=catalog)
    if as_json:
        sys.stdout.write(json.dumps({"folder": str(out), **counts}) + "\n")
    else:
        typer.echo(f"{out}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
