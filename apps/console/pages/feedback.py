"""Feedback: what was said about predictions, by app, kind and model; taken away as CSV."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, get_args

from apps.console.show import heading, moment
from engine.feedback import Feedback, FeedbackLog, Kind
from engine.feedback.table import write_csv

if TYPE_CHECKING:
    from apps.console.visit import Visit

SHOWN = 100
APPS = ("customer_service", "finance_monitor", "recommender", "console", "import")
BOM = "\ufeff"
"""Without it Excel takes UTF-8 for the machine's old code page."""


async def draw(visit: Visit) -> None:
    from nicegui import ui

    say = visit.words
    heading(say("page.feedback"), 1)
    names = await visit.asked(visit.house.store.names)
    any_one = {"": say("feedback.any")}
    with ui.element("div").classes("choices"):
        app = _choice(say("feedback.app"), any_one | {one: say(f"app.{one}") for one in APPS})
        kind = _choice(say("feedback.kind"), any_one | {one: say(f"feedback.kind.{one}") for one in get_args(Kind)})
        model = _choice(say("feedback.model"), any_one | {one: one for one in names})
        ui.element("div").classes("grow")
        export = ui.button(say("feedback.export"), icon="download").props("outline no-caps")
    log = FeedbackLog(visit.house.database)

    def read() -> list[Feedback]:
        wanted: dict[str, Any] = {"app": app.value or None, "kind": kind.value or None, "model": model.value or None}
        return log.read(tenant=visit.caller.tenant, **wanted)[::-1]

    @ui.refreshable
    async def rows() -> None:
        found = await visit.asked(read)
        ui.label(say("feedback.count", shown=min(len(found), SHOWN), count=f"{len(found):,}")).classes("soft")
        with ui.element("div").classes("rows"):
            for one in found[:SHOWN]:
                with ui.element("article").classes("row feedback"):
                    _row(visit, one)

    async def exported() -> None:
        ui.download.content(written(await visit.asked(read)), "feedback.csv", "text/csv")

    await rows()
    export.on_click(exported)
    for choice in (app, kind, model):
        choice.on_value_change(rows.refresh)


def written(feedback: list[Feedback]) -> str:
    """As the CSV that `engine feedback import` takes back."""
    stream = io.StringIO()
    stream.write(BOM)
    write_csv(feedback, stream)
    return stream.getvalue()


def _row(visit: Visit, one: Feedback) -> None:
    from nicegui import ui

    say = visit.words
    with ui.element("div").classes("about"):
        ui.label(say(f"feedback.kind.{one.kind}")).classes("chip")
        if one.verdict is not None:
            good = one.verdict >= 0.5
            ui.icon("thumb_up" if good else "thumb_down").props(
                f'aria-label="{say("chat.good" if good else "chat.bad")}"'
            )
        ui.label(" · ".join(filter(None, (say(f"app.{one.app}"), one.model, one.rater)))).classes("soft grow")
        ui.label(moment(one.time)).classes("soft")
    ui.label(one.text).classes("words")
    if one.correction:
        ui.label(f"→ {', '.join(f'{head}: {value}' for head, value in one.correction.items())}").classes("title")


def _choice(label: str, options: dict[str, str]) -> Any:
    from nicegui import ui

    return ui.select(options, value="", label=label).props("outlined dense options-dense")
