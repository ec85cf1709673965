"""Options that several commands share, and how they print JSON."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import errors

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]
Name = Annotated[str, typer.Option(help="The stored recommender: NAME, NAME@ALIAS or NAME@NUMBER.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="The moment of the request, as 2026-03-02T08:15:00Z; else that of the newest event known."
    ),
]
NAME = "recommender"


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def moment(given: str, option: str) -> datetime:
    """The time that an option names.

    Raises:
        InputError: it is none, or has no zone.
    """
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise errors.InputError(f"{option} {given}: no time with a zone; write 2026-03-02T08:15:00Z")
    return found.astimezone(UTC)


def as_of(given: str | None, newest: float | None) -> datetime | None:
    """The moment of a request: as given, else that of the newest event; None where events have no times.

    Args:
        newest: seconds since 1970.
    """
    if given is not None:
        return moment(given, "--as-of")
    return None if newest is None else datetime.fromtimestamp(newest, UTC)


def writable(path: Path, option: str) -> None:
    """Raises:
    InputError: nothing can be written there; told before the work, not after it.
    """
    if not path.absolute().parent.is_dir():
        raise errors.InputError(f"{option} {path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise errors.InputError(f"{option} {path}: a folder stands there; name a file")
