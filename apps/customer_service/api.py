"""API: support-bot over HTTP.

widget, shop, app ──> /v1/conversations ──┐
OpenAI clients ──> /v1/chat/completions ──┼──> the tenant's Bot, on the inference queue
agents' desk ──> /v1/inbox ───────────────┘
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from apps.customer_service import handover
from apps.customer_service.bot import Bot
from apps.customer_service.conversations import Conversations, NoConversation, Told
from apps.customer_service.models import NAME, promoted
from apps.customer_service.question import MAX_LETTERS
from apps.customer_service.talk import turn
from engine import Store
from engine.db import Database
from engine.errors import InputError, KeelError
from engine.feedback import rater_of
from engine.service import Caller, Keys, Problem, Queue, Readiness, allow, create
from engine.service.renewal import EVERY_S, Renewal, trusted

Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Of a conversation.")]
Text = Annotated[str, Field(min_length=1, max_length=MAX_LETTERS)]
PLAIN = r"^[^\x00-\x1f]*$"
"""Without control characters, of which PostgreSQL does not store the first."""
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=PLAIN)]
Anyone = Annotated[Caller, allow("server", "agent", "widget")]
Judge = Annotated[Caller, allow("server", "agent", "widget", scope="feedback")]
Server = Annotated[Caller, allow("server")]
Agent = Annotated[Caller, allow("server", "agent")]


class NewConversation(BaseModel):
    customer: str = Field(
        "", max_length=200, pattern=PLAIN, description="Your key for the customer; forgetting goes by it."
    )
    consent: bool = Field(False, description="Whether the customer agrees that models are trained on what they write.")


class Message(BaseModel):
    text: Text


class Said(BaseModel):
    agent: Name
    text: Text
    instead_of: Annotated[int, Field(ge=1, lt=2**31)] | None = Field(
        None, description="Number of the bot's turn that this should have been: the bot learns from it."
    )
    intent: Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")] | None = Field(
        None, description="What was asked about, before that turn or last, where the bot took it for something else."
    )


class Named(BaseModel):
    agent: Name


class Taken(Named):
    force: bool = Field(False, description="Also from a colleague who has it, and may be gone.")


class Asked(BaseModel):
    lang: Literal["en", "zh"] | None = Field(None, description="Of a customer who has written nothing yet.")


class Verdict(BaseModel):
    good: bool
    turn: Annotated[int, Field(ge=1, lt=2**31)] | None = Field(
        None, description="Number of the bot's turn that is judged; by default its last answer."
    )


class Desks:
    """The bot and the conversations of each tenant, made when they are first asked for."""

    def __init__(self, database: Database, bot_of: Callable[[str], Bot], *, mask_personal_data: bool = True) -> None:
        self.database = database
        self._mask = mask_personal_data
        self._bot_of = bot_of
        self._bots: dict[str, Bot] = {}
        self._lock, self._ending, self._renewal = threading.Lock(), threading.Event(), Renewal()

    def bot(self, tenant: str) -> Bot:
        """The tenant's bot, made anew when its index was made anew by another embedder.

        Raises:
            Problem: 409, the tenant has no articles, or no trained models.
        """
        held = self._bots.get(tenant)
        if held is not None and not held.stale():
            return held
        with self._lock:
            held = self._bots.get(tenant)
            if held is None or held.stale():
                try:
                    self._bots[tenant] = self._bot_of(tenant)
                except InputError as fault:
                    raise Problem(409, str(fault)) from None
            return self._bots[tenant]

    def keep_current(self, every_s: float = EVERY_S) -> None:
        """Let promoted bundles, intents that feedback taught, and articles that changed answer in the place of those
        before, until `close`; for a thread of its own."""
        while not self._ending.wait(every_s):
            for tenant, bot in list(self._bots.items()):
                self._look(tenant, bot.models.whole)
                with suppress(Exception):  # a database that is away is told of by the next question
                    bot.refresh()

    def _look(self, tenant: str, old: str) -> None:
        def take() -> None:
            trusted(Store(), version)
            bot = self._bot_of(tenant)
            bot.warm()
            self._bots[tenant] = bot

        try:
            version, whole = promoted()
            if self._renewal.due(tenant, whole, old):
                self._renewal.take(tenant, whole, old, take)
        except (KeelError, OSError, ValueError) as fault:
            self._renewal.refuse(tenant, NAME, old, fault)

    def readiness(self) -> Readiness:
        """The bots that answer; a newer bundle that was refused is told of."""
        told = {self._renewal.told(tenant, bot.models.whole) for tenant, bot in list(self._bots.items())}
        return Readiness(True, {NAME: "; ".join(sorted(told)) or "loaded at the first question"})

    def close(self) -> None:
        self._ending.set()

    def conversations(self, tenant: str) -> Conversations:
        return Conversations(self.database, tenant, mask_personal_data=self._mask)


def application(
    database: Database,
    bot_of: Callable[[str], Bot],
    *,
    per_minute: int,
    queue: Queue,
    mask_personal_data: bool = True,
) -> tuple[FastAPI, Desks]:
    """The whole service.

    Args:
        bot_of: the bot of a tenant.
        mask_personal_data: as `Conversations` takes it.
    """
    from apps.customer_service import completions
    from engine import __version__

    desks = Desks(database, bot_of, mask_personal_data=mask_personal_data)
    app = create(
        "support-bot",
        Keys(database),
        queue=queue,
        per_minute=per_minute,
        version=__version__,
        ready=desks.readiness,
    )
    app.include_router(_conversations(desks, queue))
    app.include_router(_inbox(desks))
    app.include_router(completions.routes(desks, queue))

    @app.get("/widget.js", tags=["widget"], response_class=Response)
    async def widget() -> Response:
        """The web component: one script tag."""
        script = resources.files("apps.customer_service").joinpath("web", "widget.js").read_text(encoding="utf-8")
        return Response(script, media_type="text/javascript; charset=utf-8", headers={"Cache-Control": "max-age=300"})

    return app, desks


def _conversations(desks: Desks, queue: Queue) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["conversations"])

    @routes.post("/conversations", status_code=201)
    def begin(caller: Anyone, body: NewConversation) -> dict[str, Any]:
        """Begin a conversation. A widget's key cannot say whose it is."""
        customer = "" if caller.role == "widget" else body.customer
        id = desks.conversations(caller.tenant).open(customer, consent=body.consent)
        return {"id": id, "side": "bot", "turns": []}

    @routes.get("/conversations/{id}")
    def read(caller: Anyone, id: Id, after: Annotated[int, Query(ge=0, lt=2**31)] = 0) -> dict[str, Any]:
        """Who speaks, and the turns behind number `after`."""
        return _state(desks.conversations(caller.tenant), id, after)

    @routes.post("/conversations/{id}/messages")
    async def write(caller: Anyone, id: Id, body: Message) -> dict[str, Any]:
        """A customer's turn; the reply holds it and all that followed from it, the answer with its citations."""

        def answered() -> dict[str, Any]:
            desk = desks.conversations(caller.tenant)
            with _faults():
                before = desk.last(id)
                turn(desks.bot(caller.tenant), desk, id, body.text)
            return _state(desk, id, before)

        return await queue.run(answered)

    @routes.post("/conversations/{id}/feedback")
    def judge(caller: Judge, id: Id, body: Verdict) -> dict[str, Any]:
        """Whether an answer was good."""
        with _faults():
            return {"turn": desks.conversations(caller.tenant).judge(id, body.good, body.turn)}

    @routes.post("/conversations/{id}/human")
    def human(caller: Anyone, id: Id, body: Asked | None = None) -> dict[str, Any]:
        """Ask for a person."""
        return _happened(desks.conversations(caller.tenant), id, "ask", lang=body.lang if body else None)

    @routes.post("/conversations/{id}/bot")
    def bot(caller: Anyone, id: Id) -> dict[str, Any]:
        """Rather ask the bot again, while no person has come."""
        return _happened(desks.conversations(caller.tenant), id, "withdraw")

    @routes.post("/conversations/{id}/close")
    def close(caller: Anyone, id: Id) -> dict[str, Any]:
        """End the conversation."""
        return _happened(desks.conversations(caller.tenant), id, "close")

    @routes.delete("/conversations/{id}")
    def erase(caller: Server, id: Id) -> dict[str, int]:
        """Erase all that is stored of a conversation."""
        with _faults():
            return {"conversations": desks.conversations(caller.tenant).forget_one(id)}

    @routes.delete("/customers/{customer:path}")
    def forget(
        caller: Server, customer: Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    ) -> dict[str, int]:
        """Erase all that is stored of a customer."""
        return {"conversations": desks.conversations(caller.tenant).forget(customer)}

    return routes


def _inbox(desks: Desks) -> APIRouter:
    routes = APIRouter(prefix="/v1/inbox", tags=["inbox"])

    @routes.get("")
    def waiting(caller: Agent) -> list[dict[str, Any]]:
        """Conversations that wait for a person or are with one, each with a summary, the longest waiting first."""
        return [vars(one) for one in desks.conversations(caller.tenant).inbox()]

    @routes.post("/{id}/take")
    def take(caller: Agent, id: Id, body: Taken) -> dict[str, Any]:
        """Become the one who answers."""
        event: handover.Event = "take_over" if body.force else "take"
        return _happened(desks.conversations(caller.tenant), id, event, agent=body.agent)

    @routes.post("/{id}/messages")
    def say(caller: Agent, id: Id, body: Said) -> dict[str, Any]:
        """Answer the customer, and teach the bot. Agents of one key are told apart by the names that they give."""
        desk = desks.conversations(caller.tenant)
        model = "" if body.intent is None else desks.bot(caller.tenant).models.intents_name or ""
        with _faults():
            before = desk.last(id)
            desk.replied(
                id,
                body.agent,
                body.text,
                rater=rater_of(caller.name, body.agent),
                instead_of=body.instead_of,
                intent=body.intent,
                model=model,
            )
        return _state(desk, id, before)

    @routes.post("/{id}/give_back")
    def give_back(caller: Agent, id: Id, body: Named) -> dict[str, Any]:
        """Let the bot answer again."""
        return _happened(desks.conversations(caller.tenant), id, "give_back", agent=body.agent)

    return routes


@contextmanager
def _faults() -> Iterator[None]:
    """What a conversation refuses, as HTTP says it."""
    try:
        yield
    except handover.NotAllowed as fault:
        raise Problem(409, str(fault)) from None
    except NoConversation as fault:
        raise Problem(404, str(fault)) from None


def _state(desk: Conversations, id: str, after: int = 0) -> dict[str, Any]:
    with _faults():
        turns, state = desk.told(id, after), desk.state(id)
    return {"id": id, "side": state.side, "agent": state.agent, "turns": [_turn(one) for one in turns]}


def _happened(
    desk: Conversations,
    id: str,
    event: handover.Event,
    *,
    agent: str | None = None,
    lang: str | None = None,
) -> dict[str, Any]:
    with _faults():
        before = desk.last(id)
        desk.happen(id, event, agent=agent, lang=lang)
    return _state(desk, id, before)


def _turn(one: Told) -> dict[str, Any]:
    value: dict[str, Any] = {"number": one.number, "role": one.role, "text": one.text, "time": one.time}
    if one.answer:
        value["answer"] = {key: one.answer[key] for key in ("kind", "citations", "confidence", "models")}
    return value
