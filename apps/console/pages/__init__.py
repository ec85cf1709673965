"""Pages of the console, in the order of its menu."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from fastapi import Request

from apps.console.frame import frame
from apps.console.guard import Guard
from apps.console.names import App
from apps.console.pages import chat, decisions, drift, feedback, label, models, news, overview, ranking
from apps.console.pages.page import Page
from apps.console.visit import Visit
from apps.console.words import HTML
from engine.errors import KeelError

if TYPE_CHECKING:
    from apps.console.house import House

PAGES = (
    Page("overview", "/", "home", "o", overview.draw),
    Page("models", "/models", "layers", "m", models.draw, below=("/models/{name}",)),
    Page("chat", "/chat", "forum", "c", chat.draw, App.CUSTOMER_SERVICE.scope),
    Page("news", "/alerts", "show_chart", "n", news.draw, App.FINANCE_MONITOR.scope),
    Page("ranking", "/ranking", "format_list_numbered", "r", ranking.draw, App.RECOMMENDER.scope),
    Page("feedback", "/feedback", "rate_review", "f", feedback.draw, "feedback"),
    Page("label", "/label", "label", "b", label.draw, "feedback"),
    Page("decisions", "/decisions", "gavel", "e", decisions.draw),
    Page("drift", "/drift", "ssid_chart", "i", drift.draw),
)
SLOW_S = 30.0
"""In which a page must be there: the first look at a store of many models takes some."""


def install(house: House) -> None:
    """Put the console under / of the house; once in a process."""
    from nicegui import app, ui

    for page in PAGES:
        for path in (page.path, *page.below):
            ui.page(path, response_timeout=SLOW_S)(_shown(house, page))
    ui.run_with(house.app, dark=None, tailwind=False, title="Keel", show_welcome_message=False)
    app.add_middleware(Guard, sessions=house.sessions)


def _shown(house: House, page: Page):  # type: ignore[no-untyped-def]
    async def shown(request: Request) -> None:
        from nicegui import ui

        visit = Visit.of(request, house)
        client = ui.context.client
        client.page = copy(client.page)  # which all visits share
        client.page.language = HTML[visit.words.tongue]
        with frame(visit, page, tuple(one for one in PAGES if visit.may(one.scope))):
            if not visit.may(page.scope):
                ui.label(visit.words("scope", scope=page.scope)).classes("fault").props("role=alert")
                return
            try:
                await page.draw(visit)
            except KeelError as fault:
                ui.label(str(fault)).classes("fault").props("role=alert")

    return shown
