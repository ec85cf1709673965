"""Page: a chat in the browser, on the service's own host, with the evidence beside each answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.customer_service.conversations import Conversations
from apps.customer_service.talk import turn

if TYPE_CHECKING:
    from fastapi import FastAPI

    from apps.customer_service.api import Desks
    from engine.service import Queue

NAMES = {"customer": "You", "bot": "Assistant", "agent": "Agent"}
POLL_S = 2.0
"""Between two looks for what a person has written."""


def mount(app: FastAPI, desks: Desks, queue: Queue, tenant: str) -> None:
    """Serve the page under /chat. It takes no key: whoever reaches the server may ask this tenant's bot."""
    from nicegui import ui

    @ui.page("/")
    def chat() -> None:
        desk = desks.conversations(tenant)
        id, shown = desk.open(), 0
        ui.page_title("support-bot")
        with ui.column().classes("w-full max-w-3xl mx-auto p-4 gap-2"):
            ui.label("Ask the support bot").classes("text-xl")
            log = ui.column().classes("w-full gap-1").props('role=log aria-live=polite aria-label="Conversation"')
            with ui.row().classes("w-full items-center no-wrap"):
                field = (
                    ui.input(placeholder="Your question").classes("grow").props('aria-label="Your question" outlined')
                )
                send = ui.button("Send")
            human = ui.button("Talk to a person").props("flat dense")

        def show() -> None:
            nonlocal shown
            for one in desk.told(id, shown):
                shown = one.number
                with log:
                    mine = one.role == "customer"
                    message = ui.chat_message(one.text, name=NAMES[one.role], sent=mine)
                    message.classes("self-end" if mine else "self-start")
                    if one.answer:
                        _evidence(one.answer, desk, id)

        async def ask() -> None:
            text, field.value = (field.value or "").strip(), ""
            if text:
                send.disable()
                try:
                    await queue.run(lambda: turn(desks.bot(tenant), desk, id, text))
                finally:
                    send.enable()
                show()

        def ask_for_human() -> None:
            desk.happen(id, "ask")
            show()

        field.on("keydown.enter", ask)
        send.on_click(ask)
        human.on_click(ask_for_human)
        ui.timer(POLL_S, show)

    ui.run_with(app, mount_path="/chat", title="support-bot", show_welcome_message=False)


def _evidence(answer: dict[str, Any], desk: Conversations, id: str) -> None:
    from nicegui import ui

    cited = answer["citations"]
    with ui.expansion(f"{answer['kind']}, {answer['confidence']:.0%} sure, sources: {len(cited)}").props("dense"):
        for one in cited:
            ui.label(f"{one['title']} ({one['document']}, version {one['version'][:12]})").classes("text-sm font-bold")
            ui.label(one["quote"]).classes("text-sm")
        if cited:
            with ui.row():
                ui.button("Good", on_click=lambda: desk.judge(id, True)).props("flat dense")
                ui.button("Bad", on_click=lambda: desk.judge(id, False)).props("flat dense")
