"""Told: what callers send, in Metarank's shapes: requests for a list, interactions, fields of items and users."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from apps.recommender.events import DEFAULT_EVENT
from apps.recommender.logbook import Entry
from engine.errors import InputError

AHEAD = timedelta(minutes=5)
"""By which clocks may differ, the callers' and ours."""
MOST = 2000
"""Candidates of a request."""


def _time(value: Any) -> Any:
    """Milliseconds since 1970, as Metarank's clients send them, or RFC 3339."""
    if isinstance(value, str) and value.strip().isdecimal() and value.isascii():
        value = int(value[:16])
    if isinstance(value, bool) or not isinstance(value, int | float | str | datetime):
        raise ValueError("give milliseconds since 1970, or RFC 3339 as 2026-03-02T08:15:00Z")
    if isinstance(value, int | float):
        if not 0 <= value < 8e12:
            raise ValueError("give milliseconds since 1970, up to the year 2200")
        return datetime.fromtimestamp(value / 1000, UTC)
    return value


def _utc(time: datetime) -> datetime:
    if not 1970 < time.year <= 2200:
        raise ValueError("a time between 1971 and 2200")
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)


def _clean(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a text without the character 0")
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a finite number")
    if isinstance(value, int) and abs(value) > 2**53:
        raise ValueError("a number up to 2^53; send longer ones as texts")
    return value


Time = Annotated[datetime, BeforeValidator(_time), AfterValidator(_utc)]
Text = Annotated[str, AfterValidator(_clean)]
Id = Annotated[Text, Field(min_length=1, max_length=200, pattern=r"\S")]
Value = Annotated[bool | int | float | Text | None, AfterValidator(_finite)]
Values = Annotated[list[Value], Field(max_length=200)]


class Named(BaseModel):
    """A field as Metarank writes it."""

    name: Annotated[Text, Field(min_length=1, max_length=200)]
    value: Value | Values


class Candidate(BaseModel):
    id: Id
    fields: list[Named] = []


class Past(BaseModel):
    """One event of a history that comes with a request."""

    model_config = ConfigDict(extra="forbid")

    item: Id
    type: Annotated[Text, Field(min_length=1, max_length=100)] = DEFAULT_EVENT
    timestamp: Time | None = None


class Request(BaseModel):
    """Metarank's request for a list, and below `items` what it may ask beyond; what it does not say is as the model's
    settings say."""

    model_config = ConfigDict(extra="forbid")

    event: Literal["ranking"] | None = None
    id: Id | None = Field(None, description="Of the list; feedback names it as its ranking. By default a new one.")
    timestamp: Time | None = Field(None, description="Milliseconds since 1970 or RFC 3339; by default now.")
    user: Id | None = None
    session: Id | None = Field(None, description="Whose history it is where there is no user.")
    fields: list[Named] = Field(
        [], description="The field of users by which newcomers are told apart; others under `unused`."
    )
    items: Annotated[list[Candidate], Field(max_length=MOST)]

    history: Annotated[list[Past], Field(max_length=MOST)] | None = Field(
        None, description="Oldest first, instead of what is known of the user."
    )
    k: Annotated[int, Field(ge=1, le=MOST)] | None = Field(None, description="Items of the list; by default all.")
    values: dict[str, Annotated[float, Field(ge=0, le=1e9)]] | None = Field(
        None, description="What one event of each behaviour is worth: {click: 1, purchase: 10}."
    )
    diversity: Annotated[float, Field(ge=0, le=1)] | None = None
    method: Literal["mmr", "dpp"] | None = None
    most_loss: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Share of the discounted scores that diversity may cost."
    )
    rules: Annotated[list[dict[str, dict[str, Value]]], Field(max_length=50)] | None = Field(
        None, description="[{boost: {field, value, by}}, {pin: {item, place}}, {cap: {field, most}}, ...]"
    )
    explore: Annotated[float, Field(ge=0, le=1e6)] | None = Field(
        None, description="Temperature, in the unit of the scores, at which the list is drawn; 0: it is not."
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = Field(
        None, description="Of the draw; by default it is made from `id`, so that the same request has the same list."
    )
    budget_ms: Annotated[float, Field(gt=0, le=60_000)] | None = Field(
        None, description="Milliseconds, of which the cross-encoder may use what is left; by default it is not asked."
    )


class Interaction(BaseModel):
    event: Literal["interaction"]
    id: Id | None = None
    timestamp: Time | None = None
    user: Id | None = None
    session: Id | None = None
    ranking: Id | None = Field(None, description="The id of the list in which it happened.")
    type: Annotated[Text, Field(min_length=1, max_length=100)] = DEFAULT_EVENT
    item: Id
    fields: list[Named] = Field([], description="weight: a number; others are not read.")
    consent: bool = Field(True, description="False: it counts for the user's own lists, and no model is trained on it.")


class ItemTold(BaseModel):
    event: Literal["item"]
    id: Id | None = None
    timestamp: Time | None = None
    item: Id
    fields: list[Named] = []


class UserTold(BaseModel):
    event: Literal["user"]
    id: Id | None = None
    timestamp: Time | None = None
    user: Id
    fields: list[Named] = []


class RankingTold(BaseModel):
    """A list that was shown. Those that this service answered are written down already, with their propensities."""

    event: Literal["ranking"]
    id: Id
    timestamp: Time | None = None
    user: Id | None = None
    session: Id | None = None
    fields: list[Named] = []
    items: Annotated[list[Candidate], Field(max_length=MOST)]


Event = Annotated[Interaction | ItemTold | UserTold | RankingTold, Field(discriminator="event")]
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def event(value: Any) -> Event:
    """The event that a JSON value is.

    Raises:
        InputError: it is none, naming the fields and their faults.
    """
    try:
        return _EVENT.validate_python(value)
    except ValidationError as fault:
        told = [f"{'.'.join(map(str, one['loc'])) or 'event'}: {one['msg']}" for one in fault.errors()]
        raise InputError("; ".join(told)) from None


def who(user: str | None, session: str | None) -> str | None:
    """Whose history: a visitor whom nobody knows by a user's id is known by the session's."""
    return user or session


def fields(named: Sequence[Named]) -> dict[str, Any]:
    return {one.name: one.value for one in named}


def entry(told: Interaction | ItemTold | UserTold, now: datetime) -> Entry:
    """As it is written down.

    Raises:
        InputError: nobody did it, or its weight is no number.
    """
    given = fields(told.fields)
    time, id = told.timestamp or now, told.id or uuid.uuid4().hex
    if isinstance(told, ItemTold):
        return Entry("item", told.item, given, time, id)
    if isinstance(told, UserTold):
        return Entry("user", told.user, given, time, id)
    subject = who(told.user, told.session)
    if subject is None:
        raise InputError("user: who did it? give user or session")
    weight = given.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise InputError(f"fields.weight: {weight!r}; give a number, or leave it out")
    data = {"item": told.item, "event": told.type, "weight": float(weight), "list": told.ranking}
    data |= {} if told.consent else {"consent": False}
    return Entry("interaction", subject, data, time, id)
