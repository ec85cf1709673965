"""Apart: what a page says whose application is not served here, not yet, or not for whoever looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from apps.console.parts.part import Part
    from apps.console.visit import Visit

P = TypeVar("P", bound="Part")
AGAIN_S = 3.0


def served(visit: Visit, kind: type[P], *, whole: bool = True) -> P | None:
    """The part, or nothing, and then the page says what to do.

    Args:
        whole: it must have loaded what it answers with; the page is drawn anew when it has.
    """
    from nicegui import ui

    say, part = visit.words, visit.house.part(kind)
    if part is None:
        ui.label(say("part.apart", name=kind.name)).classes("note")
        return None
    if not part.is_for(visit.caller.tenant):
        ui.label(say("part.other", tenant=visit.caller.tenant)).classes("note")
        return None
    if part.state == "ready":
        return part
    with ui.element("div").classes("card").props("role=status"):
        ui.label(say(f"state.{part.state}")).classes(f"state {part.state}").style("margin: 0; align-self: flex-start")
        if part.note:
            ui.label(part.note).classes("note")
    if whole:
        ui.timer(AGAIN_S, lambda: ui.navigate.reload() if part.state == "ready" else None)
    return None if whole else part
