"""API: ranking over HTTP, in Metarank's shapes.

shop ──> POST /rank/{model} ──> the tenant's Live model, on the inference queue ──> lists with propensities ─┐
     ──> POST /feedback, PUT /items ─────────────────────────────────────────────> entries ──────────────────┴─> logbook
page ──> GET /models, /models/{model}/users, /history, /items
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from apps.recommender import answers, fields, told
from apps.recommender.live import Live
from apps.recommender.logbook import Entry, stamp
from apps.recommender.meter import Meter
from apps.recommender.shelf import Shelf
from engine.errors import InputError
from engine.service import Caller, Keys, Problem, Queue, allow, create, page

Server = Annotated[Caller, allow("server")]
Desk = Annotated[Caller, allow("server", "agent")]
Teller = Annotated[Caller, allow("server", scope="feedback")]
Model = Annotated[str, Path(max_length=200)]
Words = Annotated[str, Query(max_length=200, description="Which stand in it.")]
BODY = {"requestBody": {"required": True, "content": {"application/json": {}, "application/x-ndjson": {}}}}
_ROW: TypeAdapter[dict[told.Text, told.Value | told.Values]] = TypeAdapter(
    dict[told.Text, told.Value | told.Values], config={"title": "item"}
)
_ID: TypeAdapter[str] = TypeAdapter(told.Id)


def application(shelf: Shelf, *, queue: Queue, per_minute: int = 600) -> FastAPI:
    """The whole service."""
    from engine import __version__

    keys = Keys(shelf.database)
    app = create(
        "recommender",
        keys,
        queue=queue,
        per_minute=per_minute,
        version=__version__,
        local=True,
        ready=shelf.readiness,
    )
    meter = Meter(app.state.service.registry)
    app.include_router(_rank(shelf, queue, meter))
    app.include_router(_told(shelf, queue, meter))
    app.include_router(_looks(shelf))
    app.include_router(page("apps.recommender"))
    return app


def _rank(shelf: Shelf, queue: Queue, meter: Meter) -> APIRouter:
    routes = APIRouter(tags=["ranking"])

    @routes.post("/rank/{model}", response_class=Response, responses={200: {"content": {"application/json": {}}}})
    async def rank(
        caller: Desk,
        model: Model,
        body: told.Request,
        explain: Annotated[bool, Query(description="With features, contributions, evidence and moves.")] = False,
        trial: Annotated[bool, Query(description="The list is not written down: nobody is shown it.")] = False,
    ) -> Response:
        """The candidates, best first. One that stands twice is ranked once; one that the catalogue lacks is named under
        `unknown`. Of a user nobody knows the history is empty."""
        came = time.perf_counter()
        live, logbook = _model(shelf, caller, model), shelf.logbook(caller.tenant)

        def work() -> bytes:
            answer = answers.answered(live, body, explain=explain, came=came)
            meter.answered(model, answer)
            if answer.shown.items and not trial:
                logbook.show(answer.shown)
            return answer.json(explain=explain)

        return Response(await queue.run(work), media_type="application/json")

    return routes


def _told(shelf: Shelf, queue: Queue, meter: Meter) -> APIRouter:
    routes = APIRouter(tags=["feedback"])

    @routes.post("/feedback", openapi_extra=BODY)
    async def feedback(caller: Teller, request: Request) -> dict[str, Any]:
        """Metarank's events: one, a list of them, or JSON lines. They are on disk, and in the users' histories, before
        this answers; one that is no event is named under `refused` and takes no other with it."""
        began, now = time.perf_counter(), datetime.now(UTC)
        lives = list(shelf.models(caller.tenant).values())
        entries: list[Entry] = []
        refused: list[dict[str, Any]] = []
        unused: set[str] = set()
        for place, value in enumerate(_values(await request.body())):
            try:
                entry, without = _entry(told.event(value), lives, now)
            except InputError as fault:
                refused.append({"place": place, "fault": str(fault)})
                continue
            entries += [entry] if entry else []
            unused |= without
        meter.refused(len(refused))
        if refused and not entries:
            raise Problem(422, refused[0]["fault"], errors=refused)
        new = await queue.run(lambda: _written(shelf, caller, entries, meter))
        value = {"status": "ok", "accepted": len(entries), "known": len(entries) - new}
        took = round(1000 * (time.perf_counter() - began))
        return {**value, "refused": refused, "unused": sorted(unused), "tookMillis": took}

    @routes.put("/items", openapi_extra=BODY)
    async def items(caller: Server, request: Request) -> dict[str, Any]:
        """New or changed items, as rows of a catalogue: {item_id, title, description, tags, category, price, published,
        ...}; one, a list of them, or JSON lines. All are taken or none. A field left out of a known item stays as it
        was. They can be ranked once this answers."""
        now, lives = datetime.now(UTC), list(shelf.models(caller.tenant).values())
        entries: list[Entry] = []
        unused: set[str] = set()
        errors: list[dict[str, Any]] = []
        for place, value in enumerate(_values(await request.body())):
            try:
                item_id, given = _row(value)
                unused |= _fitting(item_id, given, lives)
                entries.append(Entry("item", item_id, given, now))
            except InputError as fault:
                errors.append({"place": place, "fault": str(fault)})
        if errors:
            raise Problem(422, f"nothing was taken; {errors[0]['fault']}", errors=errors)
        await queue.run(lambda: _written(shelf, caller, entries, meter))
        return {"status": "ok", "accepted": len(entries), "unused": sorted(unused)}

    @routes.delete("/users/{user}")
    async def forget(caller: Server, user: Annotated[str, Path(min_length=1, max_length=200)]) -> dict[str, int]:
        """Erase what a user did, and the lists that they were shown; their history is empty before this answers. Models
        that learnt of it stay as they are until they are trained anew."""

        def gone() -> int:
            count = shelf.logbook(caller.tenant).forget(user)
            for live in shelf.models(caller.tenant).values():
                live.caught_up()
            return count

        return {"erased": await queue.run(gone)}

    return routes


def _written(shelf: Shelf, caller: Caller, entries: Sequence[Entry], meter: Meter) -> int:
    """How many were new; each model of the tenant has them."""
    new = shelf.logbook(caller.tenant).add(entries) if entries else 0
    meter.told(entries)
    for live in shelf.models(caller.tenant).values():
        live.caught_up()
    return new


def _entry(event: told.Event, lives: Sequence[Live], now: datetime) -> tuple[Entry | None, set[str]]:
    """As it is written down, and what of it no model reads."""
    if event.timestamp and event.timestamp > now + told.AHEAD:
        raise InputError(f"timestamp: {event.timestamp} lies in the future; it is {now} here")
    if isinstance(event, told.RankingTold):
        return None, {"ranking: lists are written down as they are answered"}
    entry = told.entry(event, now)
    if isinstance(event, told.ItemTold):
        return entry, _fitting(entry.subject, entry.data, lives)
    if isinstance(event, told.UserTold):
        return entry, {
            f"user.fields.{one.name}" for one in event.fields if all(live.segment_field != one.name for live in lives)
        }
    without = {f"interaction.fields.{one.name}" for one in event.fields if one.name != "weight"}
    if lives and not any(live.reads(event.type) for live in lives):
        without.add(f"interaction.type {event.type}: kept, but no model has learnt of it")
    return entry, without


def _fitting(item_id: str, given: dict[str, Any] | Any, lives: Sequence[Live]) -> set[str]:
    """Fields that no model reads.

    Raises:
        InputError: a model cannot read a value.
    """
    left = [set(fields.unused(given, live.recommender.items)) for live in lives]
    for live in lives:
        fields.checked(item_id, given, live.recommender.items)
    return {f"item.{name}" for name in (set.intersection(*left) if left else set(given))}


def _row(value: Any) -> tuple[str, dict[str, Any]]:
    try:
        row = dict(_ROW.validate_python(value))
        item_id = _ID.validate_python(row.pop("item_id", None))
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(map(str, first["loc"])) or "item_id"
        raise InputError(f"{where}: {first['msg']}; an item is an object with item_id and its fields") from None
    return item_id, row


def _values(body: bytes) -> list[Any]:
    """JSON values of a body: one, a list of them, or one a line.

    Raises:
        Problem: it is neither, or empty.
    """
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        try:
            whole = [json.loads(line) for line in body.split(b"\n") if line.strip()]
        except (ValueError, RecursionError) as fault:
            raise Problem(422, f"neither JSON nor JSON lines ({fault})") from None
    found = whole if isinstance(whole, list) else [whole]
    if not found:
        raise Problem(422, "nothing was sent; send one object, a list of them, or JSON lines")
    return found


def _looks(shelf: Shelf) -> APIRouter:
    routes = APIRouter(prefix="/models", tags=["models"])

    @routes.get("")
    def models(caller: Desk) -> list[dict[str, Any]]:
        """The tenant's models: behaviours with their values, fields of items, and what lists are like by default."""
        found = []
        for name, live in shelf.models(caller.tenant).items():
            recommender = live.recommender
            found.append(
                {
                    "model": name,
                    "version": recommender.version,
                    "items": len(recommender.items),
                    "values": dict(recommender.fusion.values),
                    "fields": list(recommender.items.frame.columns),
                    "listing": recommender.settings.listing.model_dump(),
                    "unread": dict(live.unread),
                }
            )
        return found

    @routes.get("/{model}/users")
    def users(
        caller: Desk, model: Model, words: Words = "", count: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> list[str]:
        """Users who did something."""
        found = (user for user in _model(shelf, caller, model).users() if words.casefold() in user.casefold())
        return [user for user, _ in zip(found, range(count), strict=False)]

    @routes.get("/{model}/history")
    def history(
        caller: Desk,
        model: Model,
        user: Annotated[str, Query(max_length=200)],
        count: Annotated[int, Query(ge=1, le=1000)] = 30,
    ) -> list[dict[str, Any]]:
        """What a user did last, the newest first; empty for a user nobody knows."""
        live = _model(shelf, caller, model)
        done = live.history(user)[-count:][::-1]
        titles = {row["item"]: row for row in _items(live, [one.item_id for one in done])}
        return [
            {
                **titles.get(one.item_id, {"item": one.item_id}),
                "event": one.event,
                "time": stamp(one.time) if one.time else None,
            }
            for one in done
        ]

    @routes.get("/{model}/items")
    def items(
        caller: Desk,
        model: Model,
        words: Words = "",
        count: Annotated[int, Query(ge=1, le=told.MOST)] = 300,
        seed: Annotated[int, Query(ge=0, lt=2**32, description="Of the draw, where there are more.")] = 13,
    ) -> list[dict[str, Any]]:
        """Items drawn evenly, in the catalogue's order."""
        live = _model(shelf, caller, model)
        return _items(live, live.drawn(words, count, seed))

    return routes


def _items(live: Live, item_ids: Sequence[str]) -> list[dict[str, Any]]:
    frame = live.recommender.items.frame
    shown = [name for name in ("title", "category", "seller", "price", "published") if name in frame]
    known = frame.loc[frame.index.intersection(list(dict.fromkeys(item_ids))), shown]
    found = []
    for item_id, *values in known.itertuples():
        row = {name: value for name, value in zip(shown, values, strict=True) if value is not None and value == value}
        if "published" in row:
            row["published"] = stamp(row["published"])
        found.append({"item": item_id, **row})
    return found


def _model(shelf: Shelf, caller: Caller, name: str) -> Live:
    mine = shelf.models(caller.tenant)
    if name not in mine:
        there = ", ".join(mine) or "none yet"
        raise Problem(404, f"no model {name!r} is served for {caller.tenant!r}; there are: {there}")
    return mine[name]
