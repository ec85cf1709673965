"""Chat: a conversation with the support bot, each answer with its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.console.pages.apart import served
from apps.console.pages.inbox import Inbox
from apps.console.parts.support import Support
from apps.console.show import heading
from apps.customer_service.conversations import Conversations, NoConversation, Told
from apps.customer_service.talk import turn
from engine.errors import KeelError
from engine.service import Problem

if TYPE_CHECKING:
    from apps.console.visit import Visit

POLL_S = 2.0
"""Between two looks for what a person has written."""


async def draw(visit: Visit) -> None:
    from nicegui import ui

    heading(visit.words("page.chat"), 1)
    if support := served(visit, Support):
        with ui.element("div").classes("two"):
            with ui.element("section").classes("talk"):
                Talk(visit, support).draw()
            with ui.element("section"):
                await Inbox(visit, support).draw()


class Talk:
    """One conversation, which begins with the first thing that is asked."""

    def __init__(self, visit: Visit, support: Support) -> None:
        self._visit, self._support = visit, support
        self._desk: Conversations = support.desks.conversations(visit.caller.tenant)
        self._id, self._shown = "", 0

    def draw(self) -> None:
        from nicegui import ui

        say = self._visit.words
        self._log = ui.element("ol").classes("log")
        self._log.props(
            f'role=log aria-live=polite tabindex=0 aria-label="{say("chat.log")}" data-empty="{say("chat.empty")}"'
        )
        with ui.element("div").classes("asking"):
            self._field = ui.input(placeholder=say("chat.ask")).props(
                f'outlined dense maxlength=2000 aria-label="{say("chat.ask")}" data-key="/"'
            )
            self._send = ui.button(say("chat.send"), on_click=self._ask).props("unelevated no-caps")
        self._human = ui.button(say("chat.human"), on_click=self._ask_for_human).props("flat no-caps dense")
        self._field.on("keydown.enter", self._ask)
        ui.timer(POLL_S, self._show)

    async def _ask(self) -> None:
        text, self._field.value = (self._field.value or "").strip(), ""
        if not text or not self._send.enabled:
            return
        self._send.disable()
        self._send.props("loading")
        try:
            await self._show()  # how the conversation ended, before there is another one
            await self._support.queue.run(lambda: self._answered(text))
        except (KeelError, Problem) as fault:
            self._fault(fault)
            self._field.value = text
        finally:
            self._send.enable()
            self._send.props(remove="loading")
        await self._show()

    def _answered(self, text: str) -> None:
        bot = self._support.desks.bot(self._visit.caller.tenant)
        turn(bot, self._desk, self._begun(), text)

    async def _ask_for_human(self) -> None:
        try:
            await self._show()
            await self._visit.asked(lambda: self._desk.happen(self._begun(), "ask"))
        except KeelError as fault:
            self._fault(fault)
        await self._show()

    def _begun(self) -> str:
        if (id := self._desk.going(self._id, consent=True)) != self._id:  # whoever asks here runs the house
            self._id, self._shown = id, 0
        return id

    async def _show(self) -> None:
        from nicegui import ui

        if not (id := self._id):
            return
        try:
            told = await self._visit.asked(lambda: self._desk.told(id, self._shown))
        except NoConversation:  # erased
            return
        for one in told:
            if id == self._id and one.number > self._shown:  # another look may have been quicker
                self._shown = one.number
                with self._log:
                    self._turn(one)
        if told:
            ui.run_javascript(f"getHtmlElement({self._log.id}).scrollTop = 1e9")

    def _turn(self, one: Told) -> None:
        from nicegui import ui

        say = self._visit.words
        with ui.element("li").classes(one.role):
            ui.label(say(f"chat.{one.role}")).classes("soft")
            ui.label(one.text).classes("said")
            if one.answer:
                self._evidence(one.number, one.answer)

    def _evidence(self, number: int, answer: dict[str, Any]) -> None:
        from nicegui import ui

        say, cited, id = self._visit.words, answer["citations"], self._id
        sure = say("chat.sure", kind=say(f"chat.kind.{answer['kind']}"), share=f"{answer['confidence']:.0%}")
        with ui.expansion(f"{sure} · {say('chat.sources', count=len(cited))}").props("dense").classes("sources"):
            for (title, document, version), quotes in _by_document(cited):
                ui.label(title).classes("title")
                for quote in quotes:
                    ui.label(quote).classes("quote")
                ui.label(f"{document} · {version[:12]}").classes("soft")
            ui.label(", ".join(answer["models"])).classes("soft")
        if cited:
            with ui.element("div").classes("links") as row:
                for good, icon in ((True, "thumb_up"), (False, "thumb_down")):
                    told = say("chat.good" if good else "chat.bad")
                    button = ui.button(icon=icon).props(f'flat round dense size=sm aria-label="{told}"')
                    button.on_click(lambda good=good, row=row: self._judge(id, number, good, row))

    async def _judge(self, id: str, number: int, good: bool, row: Any) -> None:
        from nicegui import ui

        await self._visit.asked(lambda: self._desk.judge(id, good, number))
        row.clear()
        with row:
            ui.label(self._visit.words("chat.noted")).classes("soft")

    def _fault(self, fault: Exception) -> None:
        from nicegui import ui

        ui.notify(str(fault), type="negative", multi_line=True)


def _by_document(cited: list[dict[str, Any]]) -> list[tuple[tuple[str, str, str], list[str]]]:
    """Title, document and version -> its quotes, in the order of the answer."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in cited:
        found.setdefault((one["title"], one["document"], one["version"]), []).append(one["quote"])
    return list(found.items())
