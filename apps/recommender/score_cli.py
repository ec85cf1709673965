"""`recommender score`: a table of users and items in, its rows with scores out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.recommender import options
from apps.recommender.options import NAME, AsOf, Json, Name, print_json, writable


def add(app: typer.Typer) -> None:
    """Put this command into recommender's."""
    app.command()(score)


def score(
    rows: Annotated[
        Path, typer.Argument(help="Rows of user_id, item_id and perhaps datetime, as .parquet, .csv or .jsonl.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The rows with their scores, in any of these forms.")],
    model: Name = NAME,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Score each row, in a memory that does not grow with the file; the output is whole or not there.

    Rows that have no score go to a file beside the output, with their reasons.

    Example: recommender score candidates.parquet -o scores.parquet
    """
    writable(output, "--output")
    from apps.recommender.batch import score_file
    from apps.recommender.ranker import Recommender
    from engine import Progress

    with Progress(quiet=as_json) as progress:
        progress.stage(f"loading {model}")
        recommender = Recommender.load(model)
        progress.stage(f"scoring {rows}")
        shown = options.as_of(as_of, recommender.features.as_of)
        counts = score_file(recommender, rows, output, progress, as_of=shown)
    if as_json:
        print_json(
            {
                "version": recommender.version,
                "output": str(output),
                "scored": counts.scored,
                "users_without_history": counts.strangers,
                "rejected": {"rows": counts.refused, "file": str(counts.rejected) if counts.rejected else None},
                "reasons": dict(counts.reasons),
            }
        )
        return
    typer.echo(f"{counts.scored:,} rows scored by {recommender.version}, in {output}")
    if counts.strangers:
        typer.echo(f"{counts.strangers:,} of them are of users without a history")
    if counts.rejected:
        told = ", ".join(f"{field} {count:,}" for field, count in counts.reasons.items())
        typer.echo(f"{counts.refused:,} rows have no score ({told}), see {counts.rejected}")
