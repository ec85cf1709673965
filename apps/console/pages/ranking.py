"""Ranking: try a user, or a visitor who clicks; the list with its reasons. A trial: nothing of it is written down."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from apps.console.pages.apart import served
from apps.console.parts.ranking import Ranking
from apps.console.show import heading, table
from apps.recommender import answers
from apps.recommender.explanation import reasons
from apps.recommender.live import Live
from apps.recommender.told import Candidate, Past, Request
from engine.errors import KeelError
from engine.service import Problem

if TYPE_CHECKING:
    from apps.console.visit import Visit

CANDIDATES = 100
SHOWN = 10
USERS = 300
PAST = 8
SEED = 13
PARTS = 6
"""Of an item's score that are shown one by one."""


async def draw(visit: Visit) -> None:
    from nicegui import ui

    say = visit.words
    heading(say("page.ranking"), 1)
    ranking = served(visit, Ranking)
    if ranking is None:
        return
    models = ranking.shelf.models(visit.caller.tenant)
    if not models:
        ui.label(say("ranking.none")).classes("empty")
        return
    with ui.element("div").classes("two late"):
        await Trial(visit, ranking, next(iter(models.values()))).draw()


class Trial:
    """Whose list is looked at, and as what."""

    def __init__(self, visit: Visit, ranking: Ranking, live: Live) -> None:
        self._visit, self._ranking, self._live = visit, ranking, live
        self._user: str | None = None
        self._clicks: list[str] = []
        self._asked = 0
        self._candidates: list[str] = []
        self._diversity = float(live.recommender.settings.listing.diversity)

    async def draw(self) -> None:
        from nicegui import ui

        say = self._visit.words
        users = await self._visit.asked(lambda: list(islice(self._live.users(), USERS)))
        self._candidates = await self._visit.asked(lambda: self._live.drawn("", CANDIDATES, SEED))
        self._user = users[0] if users else None
        with ui.element("section").props(f'aria-label="{say("ranking.who")}"'):
            heading(say("ranking.who"))
            names = {"": say("ranking.visitor")} | {user: user for user in users}
            chosen = ui.select(names, value=self._user or "", with_input=True, label=say("ranking.user"))
            chosen.props("outlined dense").classes("full").on_value_change(self._chosen)
            ui.label(say("ranking.diversity")).classes("soft")
            slider = ui.slider(min=0, max=1, step=0.05, value=self._diversity).props(
                f'label aria-label="{say("ranking.diversity")}"'
            )
            slider.on("change", lambda: self._spread(slider.value))
            heading(say("ranking.history"), 3)
            self._history = ui.element("ol").classes("rows")
        with ui.element("section").props(f'aria-label="{say("ranking.list")}"'):
            heading(say("ranking.list"))
            self._took = ui.label().classes("soft").props("role=status")
            self._list = ui.element("ol").classes("stack places")
        await self._show()

    async def _chosen(self, event: Any) -> None:
        self._user, self._clicks = event.value or None, []
        await self._show()

    async def _spread(self, diversity: float) -> None:
        self._diversity = diversity
        await self._show()

    async def _take(self, item: str) -> None:
        self._clicks.append(item)
        await self._show()

    async def _show(self) -> None:
        from nicegui import ui

        self._asked += 1
        asked = self._asked
        try:
            answer, past = await self._ranking.queue.run(self._answered)
        except (KeelError, Problem) as fault:
            ui.notify(str(fault), type="negative", multi_line=True)
            return
        if asked == self._asked:  # no later choice has asked again
            self._draw(answer, past)

    def _answered(self) -> tuple[answers.Answer, list[tuple[str, str]]]:
        """The list, and the history as titles and kinds of events, the newest first."""
        live = self._live
        body: dict[str, Any] = {"items": [Candidate(id=one) for one in self._candidates], "k": SHOWN}
        if self._user:
            past = [(one.item_id, one.event) for one in live.history(self._user)[-PAST:][::-1]]
        else:
            past = [(one, "click") for one in self._clicks[::-1]]
            body["history"] = [Past(item=one) for one in self._clicks]
        request = Request(user=self._user, diversity=self._diversity, **body)
        answer = answers.answered(live, request, explain=True, came=time.perf_counter())
        return answer, [(_title(live, item), event) for item, event in past]

    def _draw(self, answer: answers.Answer, past: list[tuple[str, str]]) -> None:
        from nicegui import ui

        say = self._visit.words
        self._took.text = say("ranking.took", count=len(self._candidates), ms=f"{answer.took_ms:.0f}")
        self._history.clear()
        with self._history:
            for title, event in past:
                with ui.element("li").classes("row"):
                    ui.label(title).classes("grow")
                    ui.label(event).classes("soft")
            if not past:
                with ui.element("li").classes("row"):
                    ui.label(say("ranking.unknown")).classes("soft")
        self._list.clear()
        with self._list:
            for place, one in enumerate(answer.listing.rows, 1):
                with ui.element("li").classes("card item"):
                    self._item(place, one)

    def _item(self, place: int, one: Any) -> None:
        from nicegui import ui

        say = self._visit.words
        with ui.element("div").classes("head"):
            ui.label(str(place)).classes("place")
            ui.label(_title(self._live, one.item_id)).classes("title grow")
            if not self._user:
                take = ui.button(say("ranking.take")).props("outline dense no-caps")
                take.on_click(lambda item=one.item_id: self._take(item))
        with ui.element("ul").classes("evidence"):
            for reason in reasons(one):
                with ui.element("li"):
                    ui.label(say.retold(reason))
        likely = " · ".join(f"{event} {share:.1%}" for event, share in one.probabilities.items())
        with ui.expansion(f"{say('ranking.why')} · {likely}").props("dense").classes("sources"):
            for event, parts in one.contributions.items():
                table((say("ranking.part"), say("ranking.adds")), _parts(parts, say("ranking.rest")), event)


def _parts(parts: Any, rest: str) -> list[tuple[str, str]]:
    """The strongest, and the sum of the others."""
    strong = sorted(((name, value) for name, value in parts.items() if name != "base"), key=lambda one: -abs(one[1]))
    rows = [*strong[:PARTS], (rest, sum(value for _, value in strong[PARTS:])), ("base", parts.get("base", 0.0))]
    return [(name, f"{value:+.3f}".replace("-", "−")) for name, value in rows]


def _title(live: Live, item_id: str) -> str:
    frame = live.recommender.items.frame
    return str(frame.at[item_id, "title"]) if "title" in frame and item_id in frame.index else item_id
