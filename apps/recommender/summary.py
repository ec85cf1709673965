"""Summary: an evaluation as tables on a terminal, its protocol first."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from apps.recommender.evaluate import Evaluation
from apps.recommender.intervals import Interval

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 160
"""Columns where no terminal shows the tables: 80 would break figures."""


def show(done: Evaluation) -> None:
    """Print it to stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    card = Table(title="Protocol", title_justify="left", show_header=False)
    for row in done.protocol.rows():
        card.add_row(*map(Text, row))
    console.print(card)
    console.print(_ablation(done))
    if done.calibration_error is not None:
        console.print(f"calibration error {done.calibration_error:.4f} over {len(done.reliability)} bins")
    for group in dict.fromkeys(one.of for one in done.slices):
        console.print(_slices(done, group))


def figure(one: Interval) -> str:
    """A value and its interval, or a dash."""
    return "-" if math.isnan(one.value) else f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]"


def name(done: Evaluation, metric: str) -> str:
    """Of a figure, with its depth."""
    plain = {"ndcg": f"nDCG@{done.k}", "mrr": "MRR", "recall": f"recall@{done.k}", "auc": "grouped AUC"}
    return plain.get(metric, metric.replace("_", " "))


def _ablation(done: Evaluation) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Ablation", title_justify="left")
    figures = list(done.figures[done.main])
    for column in ("part", *(name(done, one) for one in figures), f"nDCG gained by {done.main}", "coverage"):
        table.add_column(Text(column), justify="left" if column == "part" else "right")
    for part, own in done.figures.items():
        gain = figure(done.gains[part]) if part in done.gains else ""
        # The interval of what the verdict rests on is shown; of the others the values, for width.
        cells = [figure(own[one]) if one == "ndcg" else figure(own[one]).split(" ")[0] for one in figures]
        table.add_row(Text(part, style="bold" if part == done.main else ""), *cells, gain, f"{done.coverage[part]:.1%}")
    return table


def _slices(done: Evaluation, group: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"nDCG@{done.k} by {group}", title_justify="left")
    for column in (group, "lists", *done.figures):
        table.add_column(Text(column), justify="left" if column == group else "right")
    for one in done.slices:
        if one.of == group:
            table.add_row(Text(one.name), f"{one.lists:,}", *(figure(found) for found in one.figures.values()))
    return table
