"""`recommender rank`: what a user took, and the list that they would be shown."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.recommender import options
from engine import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from apps.recommender.events import History
    from apps.recommender.listing import Listing
    from apps.recommender.ranker import Recommender
    from apps.recommender.rules import Rule

RECENT = 8
"""Events of the history that are shown."""


def add(app: typer.Typer) -> None:
    """Put this command into recommender's."""
    app.command()(rank)


def rank(
    user: Annotated[str, typer.Option(help="A user's id; of one that nobody knows the history is empty.")],
    items: Annotated[
        str | None, typer.Option(help="Candidates, with commas between; else what the user has not taken.")
    ] = None,
    candidates: Annotated[Path | None, typer.Option(help="A file of candidates, an item id a line.")] = None,
    k: Annotated[int, typer.Option(min=1, help="Items of the list.")] = 10,
    diversity: Annotated[
        float | None, typer.Option(min=0, max=1, help="How unlike one another they are to be.")
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(metavar="BEHAVIOUR=NUMBER", help="What one is worth, again for each; else as trained."),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            help="YAML: a list such as - cap: {field: seller, most: 2}; boost, bury, pin, exclude, cap, quota."
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="With reasons for every item.")] = False,
    explore: Annotated[
        float | None, typer.Option(min=0, help="Temperature at which the list is drawn; 0: by score.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draw.")] = None,
    budget_ms: Annotated[
        float | None, typer.Option(min=1, help="Milliseconds of the request that the cross-encoder may fill.")
    ] = None,
    model: options.Name = options.NAME,
    as_of: options.AsOf = None,
    as_json: options.Json = False,
) -> None:
    """Rank candidates for a user, best first; the user's history stands above.

    Example: recommender rank --user u0007 --k 10 --diversity 0.3 --value purchase=10 --explain
    """
    if items is not None and candidates is not None:
        raise errors.InputError("--items and --candidates: give one of them")
    values, wanted = _values(value), _rules(rules)
    from apps.recommender.listing import Lister, Wish
    from apps.recommender.ranker import Recommender

    recommender = Recommender.load(model)
    moment = options.as_of(as_of, recommender.features.as_of)
    given: dict[str, Any] = {
        "diversity": diversity,
        "rules": wanted,
        "explore": explore,
        "budget_ms": budget_ms,
        "values": values,
    }
    wish = replace(
        Wish.of(recommender.settings),
        k=k,
        seed=seed,
        explain=explain,
        as_of=moment,
        **{name: one for name, one in given.items() if one is not None},
    )
    history = recommender.events.history(user)
    asked = _candidates(recommender, history, items, candidates)
    listing = Lister(recommender).ranked(user, asked, wish)
    if as_json:
        options.print_json(_document(recommender, user, history, listing, explain=explain))
    else:
        _show(recommender, user, history, listing, len(asked), explain=explain)


def _values(given: Sequence[str] | None) -> dict[str, float] | None:
    found = {}
    for one in given or ():
        behaviour, _, number = one.partition("=")
        try:
            found[behaviour] = float(number)
        except ValueError:
            raise errors.InputError(f"--value {one}: write BEHAVIOUR=NUMBER, as purchase=10") from None
    return found or None


def _rules(path: Path | None) -> tuple[Rule, ...] | None:
    if path is None:
        return None
    import yaml

    from apps.recommender.rules import parse

    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise errors.InputError(f"--rules {path}: no YAML to read ({fault})") from None
    if not isinstance(given, list):
        raise errors.InputError(f"--rules {path}: a list of rules is wanted, as - cap: {{field: seller, most: 2}}")
    try:
        return parse(given)
    except errors.InputError as fault:
        raise errors.InputError(f"--rules {path}: {fault}") from None


def _candidates(recommender: Recommender, history: History, items: str | None, path: Path | None) -> list[str]:
    """As given; else what the user has not taken, by the behaviours that are worth something."""
    if items is not None:
        return [item for one in items.split(",") if (item := one.strip())]
    if path is not None:
        try:
            return [item for line in path.read_text(encoding="utf-8").splitlines() if (item := line.strip())]
        except (OSError, UnicodeDecodeError) as fault:
            raise errors.InputError(f"--candidates {path}: no list of item ids to read ({fault})") from None
    taken = {event.item_id for event in history if event.event in recommender.fusion.values}
    return [item for item in recommender.items.ids.tolist() if item not in taken]


def _document(
    recommender: Recommender, user: str, history: History, listing: Listing, *, explain: bool
) -> dict[str, Any]:
    from apps.recommender.explanation import reasons

    rows = []
    for row in listing.rows:
        own = {"item_id": row.item_id, "title": title(recommender, row.item_id), "rank": row.rank, "score": row.score}
        own |= {"probabilities": dict(row.probabilities), "propensity": row.propensity}
        own["moves"] = [{"cause": move.cause, "before": move.before, "after": move.after} for move in row.moves]
        if explain:
            own["reasons"] = reasons(row)
            own["contributions"] = {name: dict(one) for name, one in row.contributions.items()}
            own["evidence"] = [asdict(one) for one in row.evidence]
        rows.append(own)
    return {
        "version": recommender.version,
        "user": user,
        "history": [
            {"item_id": one.item_id, "event": one.event, "datetime": one.time.isoformat() if one.time else None}
            for one in history
        ],
        "reranked": listing.reranked,
        "took_ms": round(listing.took_ms, 3),
        "seed": listing.seed,
        "list": rows,
    }


def _show(
    recommender: Recommender, user: str, history: History, listing: Listing, count: int, *, explain: bool
) -> None:
    from rich.table import Table
    from rich.text import Text

    from apps.recommender.explanation import reasons

    console = _console()
    _show_history(console, recommender, user, history)
    table = Table(title=f"{len(listing.rows)} of {count} candidates, {listing.took_ms:.0f} ms", title_justify="left")
    for column in ("place", "item", "title", "score", *recommender.fusion.values, "why" if explain else "moved"):
        number = column in ("place", "score", *recommender.fusion.values)
        table.add_column(Text(column), justify="right" if number else "left", no_wrap=column == "item")
    for row in listing.rows:
        why = reasons(row) if explain else [f"{move.cause}: {move.before} to {move.after}" for move in row.moves]
        likely = (f"{row.probabilities[name]:.3f}" for name in recommender.fusion.values)
        cells = (
            str(row.rank),
            row.item_id,
            title(recommender, row.item_id),
            f"{row.score:.4f}",
            *likely,
            "\n".join(why),
        )
        table.add_row(*map(Text, cells))
    console.print(table)
    if listing.reranked:
        console.print(f"the cross-encoder read the first {listing.reranked}")
    if listing.seed is not None:
        console.print(f"drawn with seed {listing.seed}")


def _show_history(console: Console, recommender: Recommender, user: str, history: History) -> None:
    """The last events, views and the like left out where others are worth something."""
    from rich.table import Table
    from rich.text import Text

    if not history:
        console.print(Text(f"{user} has no history: the list is what serves everybody"))
        return
    valued = [event for event in history if event.event in recommender.fusion.values] or list(history)
    table = Table(title=f"{user}: the last of {len(valued)} events", title_justify="left")
    for column in ("time", "event", "item", "title"):
        table.add_column(column)
    for event in valued[-RECENT:]:
        when = f"{event.time:%Y-%m-%d %H:%M}" if event.time else ""
        table.add_row(*map(Text, (when, event.event, event.item_id, title(recommender, event.item_id))))
    console.print(table)


def title(recommender: Recommender, item_id: str) -> str:
    """What an item is called; of one that left the catalogue, or has no title, nothing."""
    frame = recommender.items.frame
    found = frame["title"].get(item_id) if "title" in frame else None
    return found if isinstance(found, str) else ""


def _console() -> Console:
    import sys

    from rich.console import Console

    from apps.recommender.summary import WIDE

    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
