"""Labelling: one text after the other, those first of which most is learnt; by the keys 1 to 9 and the arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.console.show import heading
from engine.errors import InputError, KeelError
from engine.feedback import FeedbackLog, Labelling, Task

if TYPE_CHECKING:
    from apps.console.visit import Visit
    from engine.tasks.heads import HeadSpec

QUEUE = 25
"""Texts that are chosen at a time."""
OFFERED = 9
"""Labels that have a key, the most probable first; others are found by name."""


async def draw(visit: Visit) -> None:
    from nicegui import ui

    say = visit.words
    heading(say("page.label"), 1)
    log = FeedbackLog(visit.house.database)
    names = await visit.asked(lambda: _names(visit, log))
    if not names:
        ui.label(say("label.none")).classes("empty")
        return
    with ui.element("div").classes("choices"):
        chosen = ui.select(names, value=next(iter(names)), label=say("feedback.model")).props("outlined dense")
    place = ui.element("section").classes("label").props("aria-live=polite")

    async def begin() -> None:
        name = chosen.value
        place.clear()
        with place:
            ui.spinner()  # the model reads the texts now
        try:
            found = await visit.asked(lambda: Labelling(log, name, rater=visit.caller.name, tenant=visit.caller.tenant))
            tasks = await visit.asked(lambda: found.tasks(QUEUE))
        except KeelError as fault:
            place.clear()
            with place:
                ui.label(str(fault)).classes("fault").props("role=alert")
            return
        if name == chosen.value:
            Desk(visit, found, tasks, place).show()

    chosen.on_value_change(begin)
    ui.timer(0.1, begin, once=True)


def _names(visit: Visit, log: FeedbackLog) -> dict[str, str]:
    """Models that there is feedback on, with how much."""
    counts = {}
    for name in visit.house.store.names():
        try:
            texts = visit.house.champions.holds(name)
        except InputError:  # it has no champion
            continue
        if texts and (count := log.count(tenant=visit.caller.tenant, model=name)):
            counts[name] = f"{name} ({count:,})"
    return counts


class Desk:
    """The texts of one model, each with its heads one by one."""

    def __init__(self, visit: Visit, labelling: Labelling, tasks: list[Task], place: Any) -> None:
        self._visit, self._labelling, self._tasks, self._place = visit, labelling, tasks, place
        self._at = self._head = self._done = 0
        self._labels: dict[str, Any] = {}
        self._marked: list[str] = []
        """Of a head with several labels, those that are marked so far."""

    def show(self) -> None:
        from nicegui import ui

        say = self._visit.words
        self._place.clear()
        with self._place:
            if self._at >= len(self._tasks):
                ui.label(say("label.done", count=self._done)).classes("title")
                return
            task, head = self._tasks[self._at], self._labelling.heads[self._head]
            with ui.element("article").classes("card"):
                with ui.element("div").classes("head"):
                    ui.label(say("label.place", at=self._at + 1, count=len(self._tasks))).classes("soft")
                    ui.label(say(f"app.{task.feedback.app}")).classes("chip")
                    ui.label(say("label.doubt", doubt=f"{task.doubt.doubt('all'):.2f}")).classes("soft")
                ui.label(task.feedback.text).classes("said words")
            heading(head.name, 3)
            self._offer(task, head)
            with ui.element("div").classes("links"):
                back = ui.button(say("label.back"), icon="arrow_back", on_click=self._back)
                back.props('flat dense no-caps data-key="ArrowLeft"').set_enabled(self._at > 0)
                skip = ui.button(say("label.skip"), icon="arrow_forward", on_click=self._next)
                skip.props('flat dense no-caps data-key="ArrowRight"')

    def _offer(self, task: Task, head: HeadSpec) -> None:
        from nicegui import ui

        say, of = self._visit.words, task.heads[head.name]
        offered = task.ranked(head.name)[:OFFERED]
        with ui.element("div").classes("offered").props(f'role=group aria-label="{say("label.labels")}"'):
            for number, name in enumerate([*offered, *(one for one in self._marked if one not in offered)], 1):
                key = f'data-key="{number}"' if number <= OFFERED else ""
                button = ui.element("button").classes("offer").props(f"type=button {key}")
                if head.multi_label:
                    button.props(f"aria-pressed={'true' if name in self._marked else 'false'}")
                button.on("click", lambda name=name: self._said(head, name))
                with button:
                    if number <= OFFERED:
                        ui.html(f"<kbd aria-hidden=true>{number}</kbd>", sanitize=False)
                    ui.label(say.label(name))
                    if name in of:
                        ui.label(f"{of[name]:.2f}").classes("soft")
        with ui.element("div").classes("choices"):
            other = ui.select(list(head.labels), label=say("label.other"), with_input=True, new_value_mode="add-unique")
            other.props("outlined dense").on_value_change(lambda event: self._said(head, event.value))
            if head.multi_label:
                done = ui.button(say("label.take"), on_click=lambda: self._headed(head, list(self._marked)))
                done.props('unelevated no-caps data-key="Enter"').set_enabled(bool(self._marked))

    async def _said(self, head: HeadSpec, name: str | None) -> None:
        if not name:
            return
        if head.multi_label:
            others = [one for one in self._marked if one != name]
            self._marked = others if name in self._marked else [*others, name]
            self.show()
        else:
            await self._headed(head, name)

    async def _headed(self, head: HeadSpec, value: Any) -> None:
        """One head is labelled: go on to the next, and behind the last store them."""
        from nicegui import ui

        self._labels[head.name], self._marked = value, []
        if self._head + 1 < len(self._labelling.heads):
            self._head += 1
            self.show()
            return
        task, labels = self._tasks[self._at], self._labels
        try:
            await self._visit.asked(lambda: self._labelling.label(task, labels))
        except KeelError as fault:
            ui.notify(str(fault), type="negative")
        else:
            self._done += 1
        self._turn(1)

    async def _next(self) -> None:
        """Skip the head; what was said of the others is kept."""
        if self._head + 1 < len(self._labelling.heads):
            self._head, self._marked = self._head + 1, []
            self.show()
        elif self._labels:
            task, labels = self._tasks[self._at], self._labels
            await self._visit.asked(lambda: self._labelling.label(task, labels))
            self._done += 1
            self._turn(1)
        else:
            self._turn(1)

    def _back(self) -> None:
        self._turn(-1)

    def _turn(self, by: int) -> None:
        self._at, self._head, self._labels, self._marked = max(0, self._at + by), 0, {}, []
        self.show()
