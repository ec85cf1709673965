"""Compare: the figures of two versions beside each other, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from apps.console.show import drawing, table
from engine import Version
from engine.card import charts, words

if TYPE_CHECKING:
    from apps.console.words import Words


def draw(say: Words, versions: Sequence[Version], manifests: Mapping[int, Mapping[str, Any]]) -> None:
    """Of the two newest; others can be chosen.

    Args:
        versions: the newest first.
    """
    from nicegui import ui

    names = {one.number: f"@{one.number}" for one in versions}
    with ui.element("div").classes("choices"):
        one = ui.select(names, value=versions[1].number, label=say("models.version")).props("outlined dense")
        other = ui.select(names, value=versions[0].number, label=say("models.with")).props("outlined dense")

    @ui.refreshable
    def shown() -> None:
        rows = _common(manifests[one.value], manifests[other.value])
        if not rows:
            ui.label(say("models.nothing")).classes("empty")
            return
        first, second = names[one.value], names[other.value]
        columns = (say("models.figure"), first, say("models.interval"), second, say("models.interval"))
        lines = [
            (name, *_cells(mine), *_cells(theirs), f"{theirs['value'] - mine['value']:+.3f}".replace("-", "−"))
            for name, mine, theirs in rows
        ]
        table((*columns, say("models.difference")), lines)
        with ui.element("div").classes("drawings"):
            for name, mine, theirs in rows:  # each on a scale of its own
                pair = ((first, mine), (second, theirs))
                bars = [(who, of["value"], of["low"], of["high"]) for who, of in pair]
                drawing(charts.ranges(bars), name, "")
        ui.label(say("models.apart")).classes("soft")

    shown()
    one.on_value_change(shown.refresh)
    other.on_value_change(shown.refresh)


def _common(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Figures that both have: name, of the one, of the other."""
    mine, theirs = (manifest.get("metrics", {}).get("heads", {}) for manifest in (one, other))
    return [
        (f"{head} {words.metric(name)}", of, theirs[head][name])
        for head, figures in mine.items()
        for name, of in figures.items()
        if name in theirs.get(head, {})
    ]


def _cells(of: Mapping[str, Any]) -> tuple[str, str]:
    return f"{of['value']:.3f}", f"{of['low']:.3f} – {of['high']:.3f}"
