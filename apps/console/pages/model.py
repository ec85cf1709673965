"""Model: one name of the store: its versions, what they score, how they learnt, and which of them answers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.console import curves
from apps.console.pages import card, compare
from apps.console.show import heading, moment, table
from engine import Version
from engine.card import words
from engine.errors import InputError, KeelError
from engine.store import Change

if TYPE_CHECKING:
    from apps.console.visit import Visit

_LOG = logging.getLogger("keel.console")


@dataclass(frozen=True)
class Model:
    name: str
    versions: list[Version]
    """The newest first."""
    manifests: dict[int, dict[str, Any]]
    aliases: dict[str, int]
    changes: list[Change]
    """Of champion, the oldest first."""

    @property
    def champion(self) -> int | None:
        return self.aliases.get("champion")

    @classmethod
    def read(cls, visit: Visit, name: str) -> Model:
        """Raises: InputError: there is no such model."""
        store = visit.house.store
        first = store.get(f"{name}@{store.versions(name)[-1].number}") if store.versions(name) else store.get(name)
        versions = store.versions(first.name)[::-1]
        return cls(
            name, versions, {one.number: one.manifest() for one in versions}, store.aliases(name), store.changes(name)
        )


async def draw(visit: Visit, name: str) -> None:
    from nicegui import ui

    found, say = await visit.asked(lambda: Model.read(visit, name)), visit.words
    with ui.element("div").classes("above"):
        ui.link(say("page.models"), "/models").classes("soft")
    heading(name, 1)
    _versions(visit, found)
    if len(found.changes) > 1:
        rows = [(moment(one.time), f"@{one.number}", say(f"models.{one.way}")) for one in found.changes[::-1]]
        table([say(f"models.{name}") for name in ("when", "champion", "way")], rows, say("models.changes"))
    if not any("task" in manifest for manifest in found.manifests.values()):
        return  # a bundle: its parts have curves and cards
    heading(say("models.curves"))
    curves.draw(say, {str(one): found.manifests[one.number] for one in found.versions})
    if len(found.versions) > 1:
        heading(say("models.compare"))
        compare.draw(say, found.versions, found.manifests)
    heading(say("models.card"))
    await card.draw(visit, found.versions, found.champion)


def _versions(visit: Visit, found: Model) -> None:
    from nicegui import ui

    say = visit.words
    if not visit.may_decide:
        ui.label(say("models.server")).classes("soft")
    with ui.element("div").classes("cards"):
        for one in found.versions:
            manifest, mine = found.manifests[one.number], one.number == found.champion
            with ui.element("article").classes("card champion" if mine else "card"):
                with ui.element("div").classes("head"):
                    ui.label(f"@{one.number}").classes("title")
                    for alias in (alias for alias, number in found.aliases.items() if number == one.number):
                        known = f"models.{alias}"
                        ui.label(say(known) if say.has(known) else alias).classes("chip")
                    ui.element("div").classes("grow")
                    ui.label(moment(str(manifest.get("made", "")))).classes("soft")
                _figures(visit, manifest)
                if visit.may_decide and not mine:
                    _promote(visit, one, found.champion)
                if visit.may_decide and mine and len(found.changes) > 1:
                    _rollback(visit, found.name)


def _figures(visit: Visit, manifest: dict[str, Any]) -> None:
    from nicegui import ui

    say = visit.words
    heads = manifest.get("metrics", {}).get("heads", {})
    rows = [
        (f"{head} {words.metric(name)}", f"{of['value']:.3f}", f"{of['low']:.3f} – {of['high']:.3f}")
        for head, figures in heads.items()
        for name, of in figures.items()
    ]
    if rows:
        table((say("models.figure"), say("models.value"), say("models.interval")), rows)
    elif parts := manifest.get("components"):
        with ui.element("div").classes("links"):
            ui.label(say("models.components")).classes("soft")
            for part in parts:
                ui.link(part, f"/models/{part.partition('@')[0]}")
        figures = [
            (words.metric(name), f"{value:,.3f}") for name, value in manifest.get("figures", {}).get("dev", {}).items()
        ]
        if figures:
            table((say("models.figure"), say("models.dev")), figures)


def _promote(visit: Visit, version: Version, champion: int | None) -> None:
    say = visit.words
    question = say("models.promote.ask", version=version, champion=f"@{champion}" if champion else "–")

    def work() -> str:
        store = visit.house.store
        if faults := store.verify(version):
            raise InputError(say("models.unwhole", version=version, faults="; ".join(faults)))
        store.promote(version)
        return say("models.done", version=version)

    _asked(visit, say("models.promote"), question, work)


def _rollback(visit: Visit, name: str) -> None:
    say = visit.words

    def work() -> str:
        return say("models.done", version=visit.house.store.rollback(name))

    _asked(visit, say("models.rollback"), say("models.rollback.ask", name=name), work)


def _asked(visit: Visit, label: str, question: str, work: Any) -> None:
    """A button whose work is done once a dialog is answered."""
    from nicegui import ui

    async def done() -> None:
        dialog.close()
        try:
            told = await visit.asked(work)
        except KeelError as fault:
            ui.notify(str(fault), type="negative", multi_line=True)
            return
        _LOG.info("%s, by %s", told, visit.caller.name)
        ui.notify(told, type="positive")
        ui.navigate.reload()

    with ui.dialog() as dialog, ui.card():
        ui.label(question)
        with ui.row():
            ui.button(label, on_click=done).props("unelevated no-caps autofocus")
            ui.button(visit.words("cancel"), on_click=dialog.close).props("flat no-caps")
    ui.button(label, on_click=dialog.open).props("outline no-caps dense").classes("decide")
