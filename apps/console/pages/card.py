"""Card: what a version is, as its model card says it, in the console's own dress."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from apps.console.show import drawing, heading, table
from engine import Version
from engine.card import Card, stored
from engine.card.facts import Block, Chart, Prose, Source, Table
from engine.errors import KeelError

if TYPE_CHECKING:
    from apps.console.visit import Visit


async def draw(visit: Visit, versions: Sequence[Version], champion: int | None) -> None:
    """The champion's, or the newest's; others can be chosen."""
    from nicegui import ui

    by_number = {one.number: one for one in versions}
    first = champion if champion in by_number else versions[0].number
    names = {number: f"@{number}" for number in by_number}
    with ui.element("div").classes("choices"):
        chosen = ui.select(names, value=first, label=visit.words("models.version")).props("outlined dense")

    @ui.refreshable
    async def shown() -> None:
        version = by_number[chosen.value]
        try:
            card = await visit.asked(lambda: stored(version))
        except KeelError as fault:
            ui.label(str(fault)).classes("fault")
            return
        _card(card)

    await shown()
    chosen.on_value_change(shown.refresh)


def _card(card: Card) -> None:
    from nicegui import ui

    ui.label(card.summary).classes("soft")
    for number, section in enumerate(card.sections):
        with ui.expansion(section.title, value=number == 0).classes("section"), ui.element("div").classes("blocks"):
            for block in section.blocks:
                _block(block)


def _block(block: Block) -> None:
    from nicegui import ui

    match block:
        case Table(columns=columns, rows=rows, title=title):
            table(columns, rows, title)
        case Chart(title=title, svg=svg, told=told):
            drawing(svg, title, told)
        case Prose(texts=texts):
            for text in texts:
                ui.label(text).classes("prose")
        case Source(title=title, text=text):
            heading(title, 3)
            ui.html(f"<pre>{escape(text)}</pre>", sanitize=False).classes("wide")
