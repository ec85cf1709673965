"""Why: a dialog that says why an alert fired: the stories that decide it, and its worst headlines word by word."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from apps.console.show import heading, moment
from apps.finance_monitor.explained import AGAIN_S
from engine.card.attributions import marked
from engine.service import Problem

if TYPE_CHECKING:
    from apps.console.visit import Visit
    from apps.finance_monitor.explained import Explained
    from engine.explain import Explanation

SHOWN = 8
"""Stories shown at once."""
STRONGEST = 5
"""Words named with their figures, for those who see no colour."""


async def show(visit: Visit, explained: Explained, id: str, name: str) -> None:
    """Open the dialog, and ask as often as it takes while it is open; another alert may have its turn."""
    from nicegui import ui

    say = visit.words
    with ui.dialog() as dialog, ui.card().classes("why"):
        dialog.on("hide", dialog.delete)
        heading(say("why.title", name=name))
        told = ui.element("div").classes("blocks")
        with told:
            ui.label(say("why.reading")).classes("soft").props("role=status")
        ui.button(say("close"), on_click=dialog.close).props("flat no-caps autofocus")
    dialog.open()
    while dialog.value:
        try:
            _, found = await explained.reasons(id)
        except Problem as problem:
            if problem.status == 503:
                await asyncio.sleep(AGAIN_S)
                continue
            told.clear()
            with told:
                ui.label(visit.words.retold(problem.detail)).classes("fault").props("role=alert")
            return
        if dialog.value:
            told.clear()
            with told:
                _decisive(say, found.decisive)
                _headlines(say, found.words)
        return


def _decisive(say: Any, found: dict[str, Any] | None) -> None:
    from nicegui import ui

    if found is None:
        ui.label(say("why.none"))
        return
    stories, rest = found["stories"], found["without_them"]
    ends = say("why.fires" if rest["fires"] else "why.silent")
    ui.label(say("why.decide", count=len(stories), of=found["of"], ends=ends))
    _stories(stories[:SHOWN])
    if more := stories[SHOWN:]:
        with ui.expansion(say("why.more", count=len(more))).props("dense").classes("sources"):
            _stories(more)
    for other in rest["instead"]:
        where = f"{say.label(other['key']['value'])}, {moment(other['opened'])}"
        ui.label(say("why.instead", other=where)).classes("soft")


def _stories(stories: Sequence[dict[str, Any]]) -> None:
    from nicegui import ui

    with ui.element("ul").classes("evidence"):
        for one in stories:
            with ui.element("li"):
                ui.label(one["title"])


def _headlines(say: Any, found: Sequence[Explanation]) -> None:
    from nicegui import ui

    if not found:
        ui.label(say("why.unread")).classes("soft")
        return
    heading(say("why.words"), 3)
    for one in found:
        ui.html(f"<p>{marked(one)}</p>", sanitize=False).classes("words")
        strongest = sorted(one.words, key=lambda word: -abs(word.attribution))[:STRONGEST]
        figures = ", ".join(f"{word.text} {word.attribution:+.2f}".replace("-", "−") for word in strongest)
        ui.label(f"{figures}; {say.label('negative')} {one.answered:.1%}").classes("soft")
    ui.label(say("why.method", model=found[0].model)).classes("soft")
