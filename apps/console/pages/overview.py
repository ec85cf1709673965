"""Overview: what runs, what is missing and how to make it, and what waits for somebody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from engine.feedback import FeedbackLog

if TYPE_CHECKING:
    from apps.console.parts.part import Part
    from apps.console.visit import Visit

LOOK_S = 5.0
"""Between two looks at the parts' states."""
RECENT = timedelta(days=7)


async def draw(visit: Visit) -> None:
    from nicegui import ui

    say = visit.words
    figures = await visit.asked(lambda: _figures(visit))
    ui.html(f"<h1>{say('page.overview')}</h1>", sanitize=False)
    with ui.element("dl").classes("figures"):
        for key, path, value in figures:
            with ui.link(target=path).classes("figure"):
                ui.label(f"{value:,}").classes("number")
                ui.label(say(f"overview.{key}")).classes("soft")
    ui.html(f"<h2>{say('overview.apps')}</h2>", sanitize=False)

    @ui.refreshable
    def parts() -> None:
        with ui.element("div").classes("cards"):
            for part in visit.house.parts:
                _card(visit, part)

    parts()
    shown = [(one.state, one.note) for one in visit.house.parts]

    def look() -> None:
        now = [(one.state, one.note) for one in visit.house.parts]
        if now != shown:
            shown[:] = now
            parts.refresh()

    ui.timer(LOOK_S, look)


def _card(visit: Visit, part: Part) -> None:
    from nicegui import ui

    say = visit.words
    with ui.element("article").classes("card"):
        with ui.element("div").classes("head"):
            ui.label(say(f"app.{part.name}")).classes("title")
            ui.label(say(f"state.{part.state}")).classes(f"state {part.state}")
        if part.note:
            ui.label(part.note).classes("note")
        with ui.element("div").classes("links"):
            if part.name != "customer_service":
                ui.link(say("overview.open"), f"{part.path}/")
            ui.link(say("overview.api"), f"{part.path}/docs")


def _figures(visit: Visit) -> list[tuple[str, str, int]]:
    """Name, page and value of each."""
    from apps.console.parts.news import News
    from apps.console.parts.support import Support

    house, tenant = visit.house, visit.caller.tenant
    since = datetime.now(UTC) - RECENT
    found = [
        ("models", "/models", len(house.store.names())),
        ("feedback", "/feedback", FeedbackLog(house.database).count(tenant=tenant, since=since)),
    ]
    if (news := house.part(News)) and news.is_for(tenant):
        found.append(("firing", "/alerts", news.firing()))
    if support := house.part(Support):
        found.append(("waiting", "/chat", len(support.desks.conversations(tenant).inbox())))
    return found
