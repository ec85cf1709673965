"""`engine drift`: whether what a served model reads and answers has moved away from its test rows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from engine import errors
from engine.db.option import Url
from engine.printing import Json, print_json, print_table

if TYPE_CHECKING:
    from engine.drift import Drift, Measure

BARS = "▁▂▃▄▅▆▇█"
MOVED = 2
"""Labels or bins named that moved most."""


def drift(
    name: Annotated[str, typer.Argument(help="A model: name, name@alias or name@number.")],
    since: Annotated[str, typer.Option(help="First moment: 7d, 24h, or a time such as 2026-03-02T08:00Z.")] = "7d",
    texts: Annotated[
        str | None, typer.Option(help="A file with a text a line, to be answered now, in the place of what was served.")
    ] = None,
    embedding: Annotated[
        bool, typer.Option("--embedding", help="With --texts: compare vectors by the model's own encoder too.")
    ] = False,
    database: Url = None,
    as_json: Json = False,
) -> None:
    """Inputs, answers and, where people labelled, accuracy of a served model against its own test rows.

    A population stability index from .1 is moderate, from .25 large; what chance alone may give is no drift.

    Example: engine drift finance-news --since 24h
    """
    first = _moment(since)
    if embedding and texts is None:
        raise errors.InputError("--embedding is for --texts: servers count the vectors of embed models alone")
    from engine.progress import Progress

    with Progress(quiet=as_json) as progress:
        progress.stage(f"measuring the drift of {name}")
        if texts is None:
            from engine.db import Database, default_url
            from engine.drift import drifted
            from engine.drift.watch import MIGRATIONS, NAME

            opened = Database.open(database or default_url(), name=NAME, migrations=MIGRATIONS)
            try:
                found = drifted(name, opened, since=first)
            finally:
                opened.close()
        else:
            from engine import resources
            from engine.drift.drift import of_texts

            lines = [line.strip() for line in resources.text(texts).splitlines() if line.strip()]
            if not lines:
                raise errors.InputError(f"{texts}: no text in it; write one a line")
            found = of_texts(name, lines, vectors=embedding)
    if as_json:
        print_json(found.as_dict())
        return
    _show(found)


def _moment(since: str) -> datetime:
    """What --since means.

    Raises:
        InputError: it is neither a span nor a time.
    """
    if span := re.fullmatch(r"(\d+)([dh])", since):
        return datetime.now(UTC) - timedelta(**{{"d": "days", "h": "hours"}[span[2]]: int(span[1])})
    try:
        found = datetime.fromisoformat(since)
    except ValueError:
        raise errors.InputError(f"--since {since}: write a span, 7d or 24h, or a time, 2026-03-02T08:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _show(found: Drift) -> None:
    rows = [_row(one) for one in found.measures]
    window = "" if found.since is None else f" since {found.since:%Y-%m-%d %H:%M} UTC"
    print_table(f"{found.model}, {found.texts:,} texts{window}", rows)
    rows = [
        {"head": one.head, "labelled": f"{one.rows:,}", "right": f"{one.accuracy:.3f}",
         "95% interval": f"{one.interval[0]:.3f} to {one.interval[1]:.3f}", "on test rows": f"{one.tested:.3f}",
         "ECE": f"{one.ece:.3f}", "chance below": f"{one.ece_noise:.3f}", "drift": "yes" if one.drifted else "no"}
        for one in found.labelled
    ]  # fmt: skip
    print_table("Where people labelled", rows)
    typer.echo(f"{found.model}: {found.told}.")


def _row(one: Measure) -> dict[str, str]:
    row = {"measure": one.name, "texts": f"{one.texts:,}", "index": f"{one.value:.3f}"}
    row |= {"chance below": f"{one.noise:.3f}", "verdict": one.verdict}
    return row | ({"trend": sparkline(one.trend)} if one.trend else {}) | {"most moved": _moved(one)}


def sparkline(values: tuple[float | None, ...]) -> str:
    """A bar a value, from nothing up to a large drift; a dot where nothing was seen."""
    from engine.drift.measure import LARGE

    tallest = max([LARGE, *(value for value in values if value is not None)])
    last = len(BARS) - 1
    return "".join("·" if value is None else BARS[round(last * value / tallest)] for value in values)


def _moved(one: Measure) -> str:
    far = sorted(one.groups, key=lambda group: -abs(group.window - group.reference))[:MOVED]
    return ", ".join(f"{group.name} {group.reference:.0%} -> {group.window:.0%}" for group in far)
