"""Inbox: customers who wait for a person, what they asked and were told; whoever takes one answers here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from apps.console.show import heading
from apps.customer_service.conversations import Waiting
from engine.errors import KeelError

if TYPE_CHECKING:
    from apps.console.parts.support import Support
    from apps.console.visit import Visit

LOOK_S = 3.0


class Inbox:
    """The conversations of one tenant that a person is asked for."""

    def __init__(self, visit: Visit, support: Support) -> None:
        self._visit, self._desk = visit, support.desks.conversations(visit.caller.tenant)
        self._models = support.desks.bot(visit.caller.tenant).models
        self._seen: list[Waiting] | None = None
        self._drafts: dict[str, str] = {}
        """Conversation -> what is written and not sent yet; it outlives a look."""

    async def draw(self) -> None:
        from nicegui import ui

        heading(self._visit.words("inbox.title"))
        self._place = ui.element("div").classes("stack").props("aria-live=polite")
        intents = self._models.intents
        self._intents = [label for head in intents.spec.heads for label in head.labels] if intents else []
        await self._look()
        ui.timer(LOOK_S, self._look)

    async def _look(self) -> None:
        found = await self._visit.asked(self._desk.inbox)
        if found != self._seen:
            self._seen = found
            self._show(found)

    def _show(self, found: list[Waiting]) -> None:
        from nicegui import ui

        self._place.clear()
        with self._place:
            if not found:
                ui.label(self._visit.words("inbox.none")).classes("empty")
            for one in found:
                with ui.element("article").classes("card"):
                    self._card(one)

    def _card(self, one: Waiting) -> None:
        from nicegui import ui

        say, me = self._visit.words, self._visit.caller.name
        with ui.element("div").classes("head"):
            ui.label(one.agent or say("inbox.waiting")).classes("chip")
            ui.label(f"{one.asked[:10]} {one.asked[11:16]} UTC").classes("soft")
        for question in one.summary["questions"][-3:]:
            ui.label(question).classes("quote")
        for tried in one.summary["tried"][-1:]:
            ui.label(f"{say('chat.bot')}: {tried['text']}").classes("soft words")
        if one.agent is None:
            take = ui.button(say("inbox.take")).props("outline dense no-caps").classes("decide")
            take.on_click(lambda: self._happen(lambda: self._desk.happen(one.id, "take", agent=me)))
        elif one.agent == me:
            self._answering(one)
        else:
            over = ui.button(say("inbox.take_over")).props("flat dense no-caps")
            over.on_click(lambda: self._happen(lambda: self._desk.happen(one.id, "take_over", agent=me)))

    def _answering(self, one: Waiting) -> None:
        from nicegui import ui

        say, me = self._visit.words, self._visit.caller.name
        field = ui.textarea(value=self._drafts.get(one.id, ""), placeholder=say("inbox.answer"))
        field.props(f'outlined dense autogrow aria-label="{say("inbox.answer")}"').classes("full")
        field.on_value_change(lambda event: self._drafts.__setitem__(one.id, event.value))

        async def send() -> None:
            if text := (field.value or "").strip():
                self._drafts.pop(one.id, None)
                field.value = ""
                model, about = self._models.intents_name or "", intent.value if intent else None
                await self._happen(lambda: self._desk.replied(one.id, me, text, rater=me, intent=about, model=model))

        intent = None
        if self._intents:  # what is said here is feedback on the model that reads intents
            intent = ui.select(self._intents, label=say("inbox.about"), with_input=True, clearable=True)
            intent.props("outlined dense options-dense").classes("full")
        with ui.element("div").classes("links"):
            ui.button(say("chat.send"), on_click=send).props("unelevated dense no-caps").classes("decide")
            back = ui.button(say("inbox.back")).props("flat dense no-caps")
            back.on_click(lambda: self._happen(lambda: self._desk.happen(one.id, "give_back", agent=me)))

    async def _happen(self, work: Callable[[], Any]) -> None:
        from nicegui import ui

        try:
            await self._visit.asked(work)
        except KeelError as fault:
            ui.notify(str(fault), type="negative")
        await self._look()
