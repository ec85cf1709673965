"""`recommender ...`: items and what users did in, ranked lists with reasons out."""

from __future__ import annotations

import typer

from apps.recommender import (
    evaluate_cli,
    explain_cli,
    rank_cli,
    retrain_cli,
    score_cli,
    serve_cli,
    simulate_cli,
    train_cli,
)
from engine import errors

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Rank candidates for each user by what their texts say, by behaviour, popularity, price and age.\n\n"
    "Example: recommender rank --user u0007 --k 10 --explain",
)
for command in (train_cli, score_cli, rank_cli, explain_cli, evaluate_cli, serve_cli, retrain_cli, simulate_cli):
    command.add(app)


def main() -> None:
    """Entry point of `recommender`."""
    errors.run(lambda: app(standalone_mode=True))
