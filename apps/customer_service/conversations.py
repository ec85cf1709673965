"""Conversations: every turn and every answer's evidence, kept; and who speaks, changed only through `handover`."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import delete, func, insert, select, update

from apps.customer_service import handover, tables
from apps.customer_service.answers import Answer, Turn
from apps.customer_service.handover import Event, State
from apps.customer_service.phrases import phrase
from apps.customer_service.question import MAX_LETTERS
from engine.errors import InputError
from engine.feedback import Feedback, FeedbackLog
from engine.text.languages import detect
from engine.text.pii import mask

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row, Select

    from engine.db import Database

_C, _T = tables.conversations.c, tables.turns.c


class NoConversation(InputError):
    """This tenant has no such conversation."""


@dataclass(frozen=True)
class Waiting:
    """A conversation in the agents' inbox."""

    id: str
    side: str
    agent: str | None
    created: str
    asked: str
    """When the person was asked for."""
    summary: dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A turn as it is stored."""

    number: int
    role: Literal["customer", "bot", "agent"]
    text: str
    time: str
    answer: dict[str, Any] | None
    """Of the bot's turns: the answer with its evidence."""


class Conversations:
    """One tenant's.

    Args:
        mask_personal_data: of what customers write, store e-mail addresses, card numbers and the like as [EMAIL],
            [CARD]: they are never written to the database. What an agent writes reaches the customer as it is.
    """

    def __init__(self, database: Database, tenant: str = "default", *, mask_personal_data: bool = True) -> None:
        self.database = database
        self.tenant = tenant
        self._mask = mask_personal_data
        self.feedback = FeedbackLog(database)

    def open(self, customer: str = "", *, consent: bool = False) -> str:
        """Begin a conversation; its id, which nobody can guess.

        Args:
            consent: whether the customer agrees that models are trained on it.
        """
        id = uuid.uuid4().hex
        row = {
            "tenant": self.tenant,
            "id": id,
            "customer": customer,
            "side": "bot",
            "created": _now(),
            "consent": int(consent),
        }
        with self.database.write() as connection:
            connection.execute(insert(tables.conversations), row)
        return id

    def going(self, id: str, *, consent: bool = False) -> str:
        """The conversation, or a new one where it is closed or erased, or has never begun."""
        try:
            if self.state(id).side != "closed":
                return id
        except NoConversation:
            pass
        return self.open(consent=consent)

    def state(self, id: str) -> State:
        """Raises: NoConversation."""
        with self.database.read() as connection:
            return self._state(connection, id)

    def last(self, id: str) -> int:
        """Number of the last turn, 0 without any. Raises: NoConversation."""
        with self.database.read() as connection:
            self._state(connection, id)
            return int(connection.execute(select(func.max(_T.number)).where(*self._of(id))).scalar() or 0)

    def turns(self, id: str) -> list[Turn]:
        return [Turn(one.role, one.text) for one in self.told(id)]

    def told(self, id: str, after: int = 0) -> list[Told]:
        """The turns behind number `after`, with what is kept of them."""
        with self.database.read() as connection:
            self._state(connection, id)
            rows = connection.execute(
                select(_T.number, _T.role, _T.text, _T.time, _T.answer)
                .where(*self._of(id), _T.number > after)
                .order_by(_T.number)
            )
            return [Told(*row[:4], json.loads(row.answer) if row.answer else None) for row in rows]

    def happen(
        self, id: str, event: Event, *, text: str = "", agent: str | None = None, lang: str | None = None
    ) -> State:
        """Let an event take place, in one transaction with what is said.

        Args:
            text: what the customer or the agent says; of a customer's the first `MAX_LETTERS`.
            lang: of a customer who has written nothing yet; else they are told in the language that they write.

        Raises:
            handover.NotAllowed: the event has no place now.
        """
        if event == "customer_speaks":  # before the transaction, for whose end other writers wait
            text = text[:MAX_LETTERS]
            text = mask(text)[0] if self._mask else text
        with self.database.write() as connection:
            return self._happen(connection, id, event, text, agent, lang)

    def replied(
        self,
        id: str,
        agent: str,
        text: str,
        *,
        rater: str,
        instead_of: int | None = None,
        intent: str | None = None,
        model: str = "",
    ) -> None:
        """An agent's turn, with what it teaches, in one transaction.

        Args:
            rater: whom what it teaches is from: by their key, not by the name alone that they give.
            instead_of: number of the bot's turn that this should have been.
            intent: what the customer asked about, before that turn or last, where the bot took it for something else.
            model: NAME@NUMBER that reads intents.

        Raises:
            handover.NotAllowed: the conversation is not this agent's.
            InputError: there is no such answer, or nobody asked anything yet.
        """
        with self.database.write() as connection:
            asked = self._asked(connection, id, instead_of)
            self._happen(connection, id, "agent_speaks", text, agent)
            if instead_of is not None:
                answer = self._answer(connection, id, instead_of, "instead_of")
                self._learn(
                    connection, id, next(iter(answer["models"]), ""), asked.text if asked else "", _said(answer),
                    kind="edit", rater=rater, correction={"text": text},
                )  # fmt: skip
            if intent is not None:
                if asked is None:
                    raise InputError("intent: the customer has said nothing yet")
                why = self._why(connection, id, asked.number)
                said = {"intent": {"label": why["intent"], "probability": why["intent_probability"]}} if why else {}
                told = {"intent": intent}
                self._learn(connection, id, model, asked.text, said, kind="correction", rater=rater, correction=told)

    def _happen(
        self,
        connection: Connection,
        id: str,
        event: Event,
        text: str = "",
        agent: str | None = None,
        lang: str | None = None,
    ) -> State:
        before = self._locked(connection, id)
        stepped = handover.step(before, event, agent)
        if event in ("customer_speaks", "agent_speaks"):
            self._say(connection, id, "customer" if event == "customer_speaks" else "agent", text)
        if stepped.message:
            self._tell(connection, id, stepped.message, lang, again=stepped.state != before)
        if stepped.state != before:
            new = {"side": stepped.state.side, "agent": stepped.state.agent}
            if stepped.state.side == "waiting":
                new["asked"] = _now()
            mine = (_C.tenant == self.tenant, _C.id == id)
            connection.execute(update(tables.conversations).where(*mine).values(new))
        return stepped.state

    def _tell(self, connection: Connection, id: str, message: str, lang: str | None, *, again: bool) -> None:
        """Say a phrase in the customer's language; `again`: also where the bot said nothing else since it last did."""
        said = connection.execute(select(_T.role, _T.text).where(*self._of(id)).order_by(_T.number.desc())).all()
        written, all_of_it = (one.text for one in said if one.role == "customer"), (one.text for one in said)
        lang = next(filter(None, chain(map(detect, written), [lang], map(detect, all_of_it))), "en")
        text = phrase(message, lang)
        if again or text != next((one.text for one in said if one.role == "bot"), None):
            self._say(connection, id, "bot", text)

    def answered(self, id: str, answer: Answer) -> int:
        """Store the bot's answer with its evidence.

        Returns:
            The number of the turn.

        Raises:
            handover.NotAllowed: someone else has come to speak in the meantime; nothing is stored.
        """
        with self.database.write() as connection:
            handover.step(self._locked(connection, id), "bot_speaks")
            return self._say(connection, id, "bot", answer.text, answer)

    def judge(self, id: str, good: bool, turn: int | None = None) -> int:
        """The customer's verdict on an answer of the bot; its number.

        Args:
            turn: number of the answer; None: the last one.

        Raises:
            InputError: there is no such answer, or none yet.
        """
        with self.database.write() as connection:
            self._state(connection, id)
            number = self._last_answer(connection, id) if turn is None else turn
            answer = self._answer(connection, id, number, "turn")
            asked = self._asked(connection, id, number)
            connection.execute(update(tables.turns).where(*self._of(id), _T.number == number).values(verdict=int(good)))
            self._learn(
                connection, id, next(iter(answer["models"]), ""), asked.text if asked else "", _said(answer),
                kind="vote", verdict=float(good),
            )  # fmt: skip
            return number

    def inbox(self) -> list[Waiting]:
        """Conversations that wait for an agent or are with one, the longest waiting first."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(_C.id, _C.side, _C.agent, _C.created, _C.asked)
                .where(_C.tenant == self.tenant, _C.side.in_(("waiting", "agent")))
                .order_by(_C.side.desc(), _C.asked, _C.id)
            ).all()
            return [Waiting(*row, self._summary(connection, row.id)) for row in rows]

    def forget(self, customer: str) -> int:
        """Erase all that is stored of a customer; how many conversations that were."""
        if not customer:
            raise InputError("name the customer to forget")
        return self._erase(_C.customer == customer)

    def forget_one(self, id: str) -> int:
        """Erase a conversation, also of a visitor whom nobody has a key for.

        Raises:
            NoConversation: there is none.
        """
        if not (gone := self._erase(_C.id == id)):
            raise _none(id)
        return gone

    def forget_older(self, days: int) -> int:
        """Erase the conversations in which nothing was said for so many days, open ones too; how many that were."""
        said = select(func.max(_T.time)).where(_T.tenant == _C.tenant, _T.conversation == _C.id).scalar_subquery()
        return self._erase(func.coalesce(said, _C.created) < _stamp(datetime.now(UTC) - timedelta(days=days)))

    def _erase(self, which: ColumnElement[bool]) -> int:
        """Remove conversations with their turns and the feedback on them."""
        with self.database.write() as connection:
            ids = list(connection.execute(select(_C.id).where(_C.tenant == self.tenant, which)).scalars())
            for id in ids:
                connection.execute(delete(tables.conversations).where(_C.tenant == self.tenant, _C.id == id))
            self.feedback.erase(connection, self.tenant, ids)  # last: a verdict given just now was waited for
            return len(ids)

    def _learn(
        self,
        connection: Connection,
        id: str,
        model: str,
        text: str,
        said: dict[str, Any],
        *,
        kind: Literal["vote", "edit", "correction"],
        rater: str = "",
        **what: Any,
    ) -> None:
        """Write feedback; without a rater it is the customer's."""
        whose = connection.execute(select(_C.customer, _C.consent).where(_C.tenant == self.tenant, _C.id == id)).one()
        rater = rater or whose.customer or id
        self.feedback.add(
            connection,
            Feedback(
                self.tenant, model, id, text, said, **what,
                app="customer_service", kind=kind, rater=rater, consent=bool(whose.consent),
            ),
        )  # fmt: skip

    def _asked(self, connection: Connection, id: str, before: int | None) -> Row[Any, Any] | None:
        """The customer's last turn, before a number."""
        mine = [*self._of(id), _T.role == "customer"] + ([] if before is None else [_T.number < before])
        return connection.execute(select(_T.number, _T.text).where(*mine).order_by(_T.number.desc())).first()

    def _last_answer(self, connection: Connection, id: str) -> int:
        last = connection.execute(select(func.max(_T.number)).where(*self._of(id), _T.answer.is_not(None))).scalar()
        if last is None:
            raise InputError("nothing was answered yet in this conversation")
        return int(last)

    def _answer(self, connection: Connection, id: str, number: int, given_as: str) -> dict[str, Any]:
        found = connection.execute(select(_T.answer).where(*self._of(id), _T.number == number)).scalar()
        if found is None:
            raise InputError(f"{given_as}: turn {number} is no answer of the bot")
        answer: dict[str, Any] = json.loads(found)
        return answer

    def _why(self, connection: Connection, id: str, after: int) -> dict[str, Any] | None:
        """What decided the first answer behind a turn, where its intent was read."""
        found = connection.execute(
            select(_T.answer).where(*self._of(id), _T.number > after, _T.answer.is_not(None)).order_by(_T.number)
        ).scalar()
        why: dict[str, Any] = json.loads(found)["why"] if found else {}
        return why if why.get("intent") else None

    def _summary(self, connection: Connection, id: str) -> dict[str, Any]:
        """What an agent wants to know first: what was asked, what was told, on which evidence."""
        rows = connection.execute(select(_T.role, _T.text, _T.answer).where(*self._of(id)).order_by(_T.number)).all()
        given = [json.loads(row.answer) for row in rows if row.answer]
        return {
            "questions": [row.text for row in rows if row.role == "customer"],
            "tried": [{"kind": one["kind"], "text": one["text"], "intent": one["why"].get("intent")} for one in given],
            "evidence": [
                {"document": cited["document"], "quote": cited["quote"]} for one in given for cited in one["citations"]
            ],
        }

    def _say(self, connection: Connection, id: str, role: str, text: str, answer: Answer | None = None) -> int:
        last = connection.execute(select(func.max(_T.number)).where(*self._of(id))).scalar()
        number = int(last or 0) + 1
        text = text.replace("\x00", "")  # PostgreSQL stores none
        row = {
            "tenant": self.tenant,
            "conversation": id,
            "number": number,
            "role": role,
            "text": text,
            "time": _now(),
            "answer": json.dumps(self._kept(answer), ensure_ascii=False) if answer else None,
        }
        connection.execute(insert(tables.turns), row)
        return number

    def _kept(self, answer: Answer) -> dict[str, Any]:
        kept = answer.as_dict()
        if self._mask and "question" in kept["why"]:
            kept["why"] = {**kept["why"], "question": mask(kept["why"]["question"])[0]}
        return kept

    def _state(self, connection: Connection, id: str) -> State:
        return self._found(connection, id, select(_C.side, _C.agent))

    def _locked(self, connection: Connection, id: str) -> State:
        """The state, which no one else changes, nor adds a turn to, before this transaction ends."""
        return self._found(connection, id, select(_C.side, _C.agent).with_for_update())  # SQLite has one writer anyway

    def _found(self, connection: Connection, id: str, query: Select[Any]) -> State:
        row = connection.execute(query.where(_C.tenant == self.tenant, _C.id == id)).first()
        if row is None:
            raise _none(id)
        return State(row.side, row.agent)

    def _of(self, id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return _T.tenant == self.tenant, _T.conversation == id


def _said(answer: dict[str, Any]) -> dict[str, Any]:
    """Of an answer, what a verdict or an edit is about."""
    return {key: answer[key] for key in ("kind", "text", "citations")}


def _none(id: str) -> NoConversation:
    return NoConversation(f"no such conversation: {id[:60]}")


def _now() -> str:
    return _stamp(datetime.now(UTC))


def _stamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")
