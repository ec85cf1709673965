"""Option: `--database`, as every command that keeps something in Keel's database takes it; see `default_url`."""

from __future__ import annotations

from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="sqlite:///FILE or postgresql+psycopg://...; else KEEL_DATABASE, or keel.db in Keel's home.",
    ),
]
