"""Models: all that the store holds, each with its champion and main figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.console.pages import model
from apps.console.show import figure, moment
from engine import Store
from engine.errors import StoreError

if TYPE_CHECKING:
    from apps.console.visit import Visit


@dataclass(frozen=True)
class Line:
    name: str
    versions: int
    champion: str
    told: str
    """What the champion is, in short."""


async def draw(visit: Visit) -> None:
    from nicegui import ui

    if name := visit.request.path_params.get("name"):
        await model.draw(visit, name)
        return
    say = visit.words
    lines = await visit.asked(lambda: _lines(visit.house.store))
    ui.html(f"<h1>{say('page.models')}</h1>", sanitize=False)
    if not lines:
        ui.label(say("models.none")).classes("empty")
    with ui.element("div").classes("rows"):
        for line in lines:
            with ui.link(target=f"/models/{line.name}").classes("row"):
                ui.label(line.name).classes("title")
                ui.label(line.told).classes("soft grow")
                ui.label(say("models.count", count=line.versions)).classes("soft")
                ui.label(line.champion).classes("chip" if line.champion else "soft")


def _lines(store: Store) -> list[Line]:
    found = []
    for name in store.names():
        versions, champion = store.versions(name), store.aliases(name).get("champion")
        told = next((one for one in versions if one.number == champion), versions[-1])
        try:
            said = _told(told.manifest())
        except StoreError as fault:
            said = str(fault)
        found.append(Line(name, len(versions), f"@{champion}" if champion else "", said))
    return found


def _told(manifest: dict[str, Any]) -> str:
    """Task, main figures of the heads, and when it was made."""
    heads = manifest.get("metrics", {}).get("heads", {})
    mains = [f"{head} {figure(*next(iter(of.items())))}" for head, of in heads.items() if of]
    parts = [str(manifest.get("task", "")), *mains, moment(str(manifest.get("made", "")))]
    return " · ".join(filter(None, parts or manifest.get("components", [])))
