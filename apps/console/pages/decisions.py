"""Decisions: challengers that were promoted or refused, each with the gates that decided it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.console.show import heading, moment, table
from engine.decision import Decision, decisions, reasons

if TYPE_CHECKING:
    from apps.console.visit import Visit
    from apps.console.words import Words
    from engine import Store

SHOWN = 50


async def draw(visit: Visit) -> None:
    from nicegui import ui

    say = visit.words
    found = await visit.asked(lambda: newest(visit.house.store, SHOWN))
    heading(say("page.decisions"), 1)
    if not found:
        ui.label(say("decisions.none")).classes("empty")
    with ui.element("div").classes("stack"):
        for one in found:
            with ui.element("article").classes("card"):
                _decision(visit, one)


def newest(store: Store, most: int) -> list[Decision]:
    """Of all models, the newest first."""
    found = [one for name in store.names() for one in decisions(name)]
    return sorted(found, key=lambda one: one.time, reverse=True)[:most]


def why(say: Words, one: Decision) -> str:
    """In a sentence, as `Decision.why`."""
    failed = [f"{_gate(say, gate.name)} ({say.retold(gate.note)})" for gate in one.gates if not gate.held]
    told = say(f"decisions.why.{'refused' if failed else 'promoted'}", challenger=one.challenger, champion=one.champion)
    return f"{told} {'; '.join(failed)}" if failed else told


def _gate(say: Words, name: str) -> str:
    return say(f"gate.{name}") if say.has(f"gate.{name}") else name


def _decision(visit: Visit, one: Decision) -> None:
    from nicegui import ui

    say = visit.words
    state = "ready" if one.promoted else "failed"
    with ui.element("div").classes("head"):
        ui.link(one.challenger, f"/models/{one.name}").classes("title")
        ui.label(say("decisions.promoted" if one.promoted else "decisions.refused")).classes(f"state {state}")
    ui.label(moment(one.time)).classes("soft")
    ui.label(why(say, one)).classes("prose")
    taught = one.feedback
    counts = {"read": taught.read, "learnt": len(taught.learnt), "rows": taught.rows, "replayed": taught.replayed}
    ui.label(say("decisions.taught", **{name: f"{count:,}" for name, count in counts.items()})).classes("soft")
    if taught.new_labels:
        ui.label(say("decisions.new", labels=", ".join(taught.new_labels))).classes("soft")
    columns = ("gate", "held", "figure", "bound", "interval", "what")
    rows = [
        (
            _gate(say, gate.name),
            say("decisions.yes" if gate.held else "decisions.no"),
            f"{gate.figure:.4f}",
            f"{gate.bound:.4f}",
            f"{gate.interval[0]:+.4f} – {gate.interval[1]:+.4f}" if gate.interval else "",
            say.retold(gate.note),
        )
        for gate in one.gates
    ]
    with (
        ui.expansion(say("decisions.gates", count=len(rows)), value=not one.promoted).props("dense").classes("sources")
    ):
        table([say(f"decisions.{name}") for name in columns], rows)
        if one.aside:
            listed = [(f"{count:,}", say.retold(reason)) for reason, count in reasons(one.aside)]
            table((say("decisions.count"), say("decisions.reason")), listed, say("decisions.aside"))
