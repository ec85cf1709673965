"""`recommender explain`: what a candidate's place is made of, in bars, with the past items and words behind it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.recommender import options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.text import Text

    from apps.recommender.standing import Ranked
    from engine.explain import Explanation, Word

SHOWN = 12
"""Contributions with a line of their own."""
WIDTH = 24
"""Letters of the longest bar."""


def add(app: typer.Typer) -> None:
    """Put this command into recommender's."""
    app.command()(explain)


def explain(
    user: Annotated[str, typer.Option(help="A user's id; of one that nobody knows the history is empty.")],
    item: Annotated[str, typer.Option(help="An item's id.")],
    among: Annotated[
        list[str] | None, typer.Option(help="Another candidate, again for each; else the whole catalogue.")
    ] = None,
    model: options.Name = options.NAME,
    as_of: options.AsOf = None,
    budget_ms: Annotated[
        float | None, typer.Option(min=1, help="Milliseconds of a request that the cross-encoder may fill.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Why an item stands where it does in a user's list: parts that add up to its margins, past items, words, moves.

    Example: recommender explain --user u0007 --item c0012
    """
    from apps.recommender import explanation
    from apps.recommender.listing import CROSS_ENCODER, Lister, Wish
    from apps.recommender.ranker import Recommender

    recommender = Recommender.load(model)
    lister, wish = Lister(recommender), Wish.of(recommender.settings)
    moment = options.as_of(as_of, recommender.features.as_of)
    wish = replace(wish, k=None, explore=0.0, as_of=moment, budget_ms=budget_ms or wish.budget_ms)
    candidates = [item, *among] if among else recommender.items.ids.tolist()
    row = lister.explained(user, item, candidates, wish)
    past = recommender.past(user, moment)
    number = recommender.items.numbers([item])
    text, words = explanation.words(recommender, past, int(number[0]))
    read = None
    if lister.reranker and any(own.get(CROSS_ENCODER) for own in row.contributions.values()):
        read = explanation.read_words(lister.reranker, past, number)
    if as_json:
        options.print_json(document(user, row, explanation.reasons(row), text, words, read))
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"{item} for {user}: place {row.rank} of {len(candidates)}, score {row.score:.4f}", style="bold")
    for line in explanation.reasons(row):
        console.print(f"  {line}", markup=False)
    for behaviour in row.margins:
        _show_behaviour(console, row, behaviour)
    if row.evidence:
        _show_bars(console, "past items, in what the texts say", {one.title: one.share for one in row.evidence[:SHOWN]})
    console.print("\nwords, by what the text score would lose without them", style="bold")
    console.print(_coloured(text, words))
    if read:
        from engine.explain import coloured

        console.print("\nwords, to the cross-encoder: what was taken, and the item", style="bold")
        console.print(coloured(read))


def document(
    user: str, row: Ranked, reasons: Sequence[str], text: str, words: Sequence[Word], read: Explanation | None
) -> dict[str, Any]:
    """One JSON document; of each behaviour base, contributions and moves are the margin."""
    behaviours = {
        name: {
            "probability": row.probabilities[name],
            "margin": margin,
            "contributions": dict(row.contributions[name]),
            "moves": [{"cause": move.cause, "added": move.margins[name]} for move in row.moves],
        }
        for name, margin in row.margins.items()
    }
    return {
        "user": user,
        "item": row.item_id,
        "rank": row.rank,
        "score": row.score,
        "reasons": list(reasons),
        "behaviours": behaviours,
        "moves": [{"cause": move.cause, "before": move.before, "after": move.after} for move in row.moves],
        "features": {name: value if value == value else None for name, value in row.features.items()},
        "evidence": [asdict(one) for one in row.evidence],
        "text": text,
        "words": [asdict(one) for one in words],
        "cross_encoder": asdict(read) if read else None,
    }


def _show_behaviour(console: Console, row: Ranked, behaviour: str) -> None:
    from apps.recommender.standing import BASE

    own = dict(row.contributions[behaviour])
    parts = {BASE: own.pop(BASE)}
    ordered = sorted(own, key=lambda name: -abs(own[name]))
    parts |= {_valued(name, row.features): own[name] for name in ordered[:SHOWN]}
    if rest := ordered[SHOWN:]:
        parts[f"{len(rest)} others"] = sum(own[name] for name in rest)
    parts |= {f"{number}. {move.cause}": move.margins[behaviour] for number, move in enumerate(row.moves, 1)}
    _show_bars(console, behaviour, parts)
    total = sum(row.contributions[behaviour].values()) + sum(move.margins[behaviour] for move in row.moves)
    console.print(f"  = margin {total:+.4f}; without moves, probability {row.probabilities[behaviour]:.4f}")


def _show_bars(console: Console, title: str, parts: Mapping[str, float]) -> None:
    from rich.table import Table
    from rich.text import Text

    longest = max(map(abs, parts.values()), default=0.0) or 1.0
    table = Table(show_header=False, box=None)
    for name, value in parts.items():
        bar = "█" * round(WIDTH * abs(value) / longest)
        table.add_row(Text(f"  {name}"), Text(f"{value:+.4f}"), Text(bar, style="green" if value > 0 else "red"))
    console.print(f"\n{title}", style="bold", markup=False)
    console.print(table)


def _valued(name: str, features: Mapping[str, float]) -> str:
    return f"{name} = {features[name]:.3g}" if name in features else name


def _coloured(text: str, words: Sequence[Word]) -> Text:
    """Green speaks for the item, red against, the strongest brightest; the strongest are named for want of colour."""
    from rich.text import Text

    shown, strongest = Text(text), max((abs(word.attribution) for word in words), default=0.0) or 1.0
    for word in words:
        depth = round(40 + 140 * abs(word.attribution) / strongest)
        colour = f"rgb(0,{depth},0)" if word.attribution > 0 else f"rgb({depth},0,0)"
        shown.stylize(f"white on {colour}", word.start, word.end)
    first = sorted(words, key=lambda word: -abs(word.attribution))[:5]
    shown.append("\n" + "  ".join(f"{word.text} {word.attribution:+.2f}" for word in first), style="dim")
    return shown
