"""Options that several commands share, and how they print JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.recommender.readers.data import DeadLetter

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]
Dead = Annotated[Path, typer.Option(help="Where rows of events that cannot be used go.")]
Shown = Annotated[
    Path | None,
    typer.Option(
        "--exposures",
        help="Lists as they were shown (list_id, user_id, item_id, position, datetime), which are ranked anew; else "
        "what was taken stands beside all that was for sale.",
    ),
]
Lists = Annotated[int, typer.Option(min=1, help="Most lists that are measured on, drawn evenly.")]
Others = Annotated[
    int, typer.Option(min=0, help="Items drawn evenly beside those wanted, where all are too many. 0: all.")
]
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


def letters(path: Path, dead: Sequence[DeadLetter]) -> None:
    """Write rows that could not be used, a JSON line each, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in dead), encoding="utf-8")
    part.replace(path)
