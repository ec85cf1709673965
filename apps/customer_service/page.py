"""Page: a chat in the browser, on the service's own host, with the evidence beside each answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import Depends, HTTPException, Request

from apps.customer_service.conversations import NoConversation
from apps.customer_service.question import MAX_LETTERS
from apps.customer_service.talk import turn
from engine.errors import KeelError
from engine.service import Problem

if TYPE_CHECKING:
    from fastapi import FastAPI

    from apps.customer_service.api import Desks
    from apps.customer_service.conversations import Told
    from engine.service import Queue

NAMES = {"customer": "You", "bot": "Assistant", "agent": "Agent"}
POLL_S = 2.0
"""Between two looks for what a person has written."""


def mount(app: FastAPI, desks: Desks, queue: Queue, tenant: str) -> None:
    """Serve the page under /chat. It takes no key: whoever reaches the server may ask this tenant's bot, and from one
    address as often as a key may."""
    from nicegui import ui

    def spend(request: Request) -> None:
        address = request.client.host if request.client else ""
        app.state.service.allowance.spend(f"/chat {address}")  # no key's name has a /

    async def seen(request: Request) -> None:
        try:
            spend(request)
        except Problem as fault:  # what NiceGUI answers with knows none
            raise HTTPException(fault.status, fault.detail, fault.headers) from None

    @ui.page("/", dependencies=[Depends(seen)])
    def chat(request: Request) -> None:
        ui.page_title("support-bot")
        Chat(desks, queue, tenant, lambda: spend(request)).draw()

    ui.run_with(app, mount_path="/chat", title="support-bot", show_welcome_message=False)


class Chat:
    """A visitor's conversation, which begins with the first thing that they say, and anew once it is over.

    Args:
        spend: is called before anything is done, and refuses whoever asks too often.
    """

    def __init__(self, desks: Desks, queue: Queue, tenant: str, spend: Callable[[], None]) -> None:
        self._desks, self._queue, self._tenant, self._spend = desks, queue, tenant, spend
        self._desk = desks.conversations(tenant)
        self._id, self._shown = "", 0

    def draw(self) -> None:
        from nicegui import ui

        with ui.column().classes("w-full max-w-3xl mx-auto p-4 gap-2"):
            ui.label("Ask the support bot").classes("text-xl")
            self._log = ui.column().classes("w-full gap-1").props('role=log aria-live=polite aria-label="Conversation"')
            with ui.row().classes("w-full items-center no-wrap"):
                self._field = ui.input(placeholder="Your question").classes("grow")
                self._field.props(f'aria-label="Your question" outlined maxlength={MAX_LETTERS}')
                self._send = ui.button("Send", on_click=self._ask)
            ui.button("Talk to a person", on_click=self._ask_for_human).props("flat dense")
            self._back = ui.button("Back to the assistant", on_click=self._ask_for_bot).props("flat dense")
            self._back.set_visibility(False)
        self._field.on("keydown.enter", self._ask)
        ui.timer(POLL_S, self._show)

    async def _ask(self) -> None:
        text, self._field.value = (self._field.value or "").strip(), ""

        def asked() -> None:
            bot = self._desks.bot(self._tenant)
            turn(bot, self._desk, self._begun(), text)

        if text and not await self._done(asked):
            self._field.value = text

    async def _ask_for_human(self) -> None:
        await self._done(lambda: self._desk.happen(self._begun(), "ask"))

    async def _ask_for_bot(self) -> None:
        await self._done(lambda: self._desk.happen(self._begun(), "withdraw"))

    async def _done(self, work: Callable[[], object]) -> bool:
        """Do it and show what comes of it; False: it was refused, and the visitor is told why."""
        from nicegui import ui

        if not self._send.enabled:
            return False
        self._send.disable()
        try:
            self._spend()
            await self._show()  # how the conversation ended, before there is another one
            await self._queue.run(work)
        except (KeelError, Problem) as fault:
            ui.notify(str(fault), type="negative", multi_line=True)
            return False
        finally:
            self._send.enable()
        await self._show()
        return True

    def _begun(self) -> str:
        if (id := self._desk.going(self._id)) != self._id:
            self._id, self._shown = id, 0
        return id

    async def _show(self) -> None:
        if not (id := self._id):
            return
        try:
            told = await asyncio.to_thread(self._desk.told, id, self._shown)
            side = (await asyncio.to_thread(self._desk.state, id)).side
        except NoConversation:  # erased
            return
        self._back.set_visibility(side == "waiting")
        for one in told:
            if id == self._id and one.number > self._shown:  # another look may have been quicker
                self._shown = one.number
                with self._log:
                    self._turn(one)

    def _turn(self, one: Told) -> None:
        from nicegui import ui

        mine = one.role == "customer"
        message = ui.chat_message(one.text, name=NAMES[one.role], sent=mine)
        message.classes("self-end" if mine else "self-start")
        if one.answer:
            self._evidence(one.number, one.answer)

    def _evidence(self, number: int, answer: dict[str, Any]) -> None:
        from nicegui import ui

        cited, id = answer["citations"], self._id
        with ui.expansion(f"{answer['kind']}, {answer['confidence']:.0%} sure, sources: {len(cited)}").props("dense"):
            for one in cited:
                ui.label(f"{one['title']} ({one['document']}, version {one['version'][:12]})").classes(
                    "text-sm font-bold"
                )
                ui.label(one["quote"]).classes("text-sm")
            if cited:
                with ui.row() as row:
                    for told, good in (("Good", True), ("Bad", False)):
                        button = ui.button(told).props("flat dense")
                        button.on_click(lambda good=good: self._judge(id, number, good, row))

    async def _judge(self, id: str, number: int, good: bool, row: Any) -> None:
        from nicegui import ui

        try:
            self._spend()
            await asyncio.to_thread(self._desk.judge, id, good, number)
        except (KeelError, Problem) as fault:
            ui.notify(str(fault), type="negative", multi_line=True)
            return
        row.clear()
        with row:
            ui.label("Thank you.").classes("text-sm")
