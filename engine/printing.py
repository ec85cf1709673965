"""Printing of command lines: tables for people, JSON for machines."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]
WIDE = 160
"""Columns of a table that no terminal shows."""


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_table(title: str, rows: list[dict[str, Any]]) -> None:
    """A table of the rows under their keys; nothing where there are none."""
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text throughout, since a plain string that holds [brackets] would be read as markup.
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = Table()
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        values = [row.get(column, "") for column in columns]
        table.add_row(*(Text(f"{value:.1f}" if isinstance(value, float) else str(value)) for value in values))
    # Piped, the terminal's width does not matter, and 80 columns would break words.
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)
    console.print(Text(title, style="italic"))
    console.print(table)
