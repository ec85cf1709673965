"""Drift: whether what a model reads and answers has moved away from what it was tested on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.console.show import drawing, heading, table
from engine.card import charts
from engine.drift import Drift, Measure, drifted
from engine.errors import InputError, KeelError

if TYPE_CHECKING:
    from apps.console.visit import Visit

GROUPS = 8
"""Of a measure that are listed, those that moved most."""
STATES = {"stable": "ready", "moderate": "missing", "large": "failed", "too few texts to tell": "loading"}
"""Verdict -> how it is coloured."""


async def draw(visit: Visit) -> None:
    from nicegui import ui

    say, house = visit.words, visit.house
    heading(say("page.drift"), 1)
    ui.label(say("drift.what")).classes("soft prose")
    names = await visit.asked(lambda: _names(visit))
    if not names:
        ui.label(say("models.none")).classes("empty")
        return
    with ui.element("div").classes("choices"):
        chosen = ui.select(names, value=names[0], label=say("feedback.model")).props("outlined dense")
    place = ui.element("div").classes("stack").props("aria-live=polite")

    async def look() -> None:
        name = chosen.value
        place.clear()
        with place:
            ui.spinner()  # a version that is looked at for the first time answers its test rows now
        try:
            found: Drift | KeelError = await visit.asked(lambda: drifted(name, house.database, store=house.store))
        except KeelError as fault:
            found = fault
        if name != chosen.value:
            return
        place.clear()
        with place:
            if isinstance(found, KeelError):
                ui.label(str(found)).classes("fault").props("role=alert")
            else:
                _drift(visit, found)

    chosen.on_value_change(look)
    ui.timer(0.1, look, once=True)


def _names(visit: Visit) -> list[str]:
    """Models of texts that have a champion."""
    found = []
    for name in visit.house.store.names():
        try:
            found += [name] if visit.house.champions.holds(name) else []
        except InputError:  # it has no champion
            continue
    return found


def _drift(visit: Visit, found: Drift) -> None:
    from nicegui import ui

    say = visit.words
    with ui.element("div").classes("choices"):
        ui.label(found.model).classes("title")
        if found.texts or found.labelled:
            state = "failed" if found.drifted else "ready"
            ui.label(say("drift.moved" if found.drifted else "drift.still")).classes(f"state {state}").style(
                "margin: 0"
            )
        ui.label(say("drift.texts", count=f"{found.texts:,}")).classes("soft")
    if not found.texts and not found.labelled:
        ui.label(say("drift.none")).classes("empty")
    if found.labelled:
        rows = [
            (one.head, f"{one.rows:,}", _share(one.accuracy, one.interval), _share(one.tested, one.tested_interval))
            for one in found.labelled
        ]
        columns = [say(f"drift.{name}") for name in ("head", "rows", "right", "tested")]
        table(columns, rows, say("drift.labelled"))
    with ui.element("div").classes("cards"):
        for measure in found.measures:
            with ui.element("article").classes("card"):
                _measure(visit, found, measure)


def _measure(visit: Visit, found: Drift, one: Measure) -> None:
    from nicegui import ui

    say = visit.words
    with ui.element("div").classes("head"):
        ui.label(one.name).classes("title")
        ui.label(say(f"drift.{one.verdict}")).classes(f"state {STATES[one.verdict]}")
    ui.label(say("drift.index", value=f"{one.value:.3f}", noise=f"{one.noise:.3f}", p=f"{one.p:.3f}")).classes("soft")
    points = [(float(place), value) for place, value in enumerate(one.trend) if value is not None]
    if len(points) > 1:
        drawing(charts.line(points), say("drift.trend", first=found.parts[0], last=found.parts[-1]), "")
    if one.groups:
        moved = sorted(one.groups, key=lambda group: -abs(group.window - group.reference))[:GROUPS]
        rows = [(group.name, f"{group.reference:.1%}", f"{group.window:.1%}") for group in moved]
        table((say("drift.group"), say("drift.tested"), say("drift.now")), rows)


def _share(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.1%} ({interval[0]:.1%} – {interval[1]:.1%})"
