"""API: the monitor over HTTP.

wires ──> POST /v1/items ──> inbox ──> monitor ──> changes, series
                                                     |
page, dashboards <── /v1/alerts, /v1/series, /v1/keys, /v1/events ┘
analysts ──> /v1/items, /v1/alerts/{id}/verdict, /v1/items/{id}/correction ──> feedback
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Path, Query, Request
from pydantic import AfterValidator, BaseModel, Field, model_validator

from apps.finance_monitor import changelog, charts, events, explained, opinions
from apps.finance_monitor.explained import Explained
from apps.finance_monitor.inbox import Full, Inbox
from apps.finance_monitor.meter import ROUTES, Meter
from apps.finance_monitor.pulse import Pulse
from apps.finance_monitor.series import rfc3339
from apps.finance_monitor.signed import Signed
from apps.finance_monitor.silences import Silences, parsed
from apps.finance_monitor.sinks import Sink
from apps.finance_monitor.windows import Key
from engine.db import Database
from engine.errors import InputError
from engine.service import Caller, Keys, Problem, Queue, allow, create, page

MOST_KEYS = 200
Server = Annotated[Caller, allow("server")]
Desk = Annotated[Caller, allow("server", "agent")]
Id = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
Name = Annotated[str, Query(description="topic:cyber, company:Brackwater Savings, or all:all", max_length=300)]
ITEMS = {"requestBody": {"required": True, "content": {"application/json": {}, "application/x-ndjson": {}}}}


def _utc(time: datetime) -> datetime:
    if not 1970 <= time.year <= 2200:
        raise ValueError("a time between 1970 and 2200")
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)


Time = Annotated[datetime, AfterValidator(_utc)]


class NewSilence(BaseModel):
    key: str = Field(description="topic:NAME, company:NAME, all:all, or * for every key", max_length=300)
    starts: Time | None = Field(None, description="By default now, as the feed tells the time.")
    hours: float | None = Field(None, gt=0, le=24 * 366, description="Needed where neither ends nor weekly is given.")
    ends: Time | None = None
    weekly: str | None = Field(None, description="A maintenance window in UTC: sat 22:00-04:00", max_length=40)
    reason: str = Field("", max_length=1000)
    author: str = Field("", description="By default the key's name.", max_length=200)

    @model_validator(mode="after")
    def _bounded(self) -> NewSilence:
        if self.hours is None and self.ends is None and self.weekly is None:
            raise ValueError("say how long: hours, ends, or weekly")
        if self.hours is not None and self.ends is not None:
            raise ValueError("give hours or ends, not both")
        return self


def application(
    database: Database,
    inbox: Inbox,
    *,
    queue: Queue,
    sinks: Sequence[Sink] = (),
    secret: bytes | None = None,
    tenant: str = "default",
    per_minute: int = 600,
    ended: Callable[[], bool] = lambda: False,
) -> tuple[FastAPI, Meter]:
    """The whole service, and the meter that a monitor tells of its chunks.

    Args:
        queue: of two threads at least, or pushed news waits while an alert is explained.
        sinks: those that the monitor sends changes to.
        secret: pushed news must be signed with, beside its sender's key.
        tenant: whose news these are; for keys of others there are none.
        ended: whether the server is about to stop, which open streams wait for.
    """
    from engine import __version__

    keys = Keys(database)
    app = create(
        "finance-monitor", keys, queue=queue, per_minute=per_minute, version=__version__, local=True, tenant=tenant
    )
    meter = Meter(app.state.service.registry, database, sinks)
    app.include_router(_items(inbox, Signed(secret) if secret else None))
    app.include_router(_alerts(database))
    app.state.explained = Explained(database, queue)
    app.include_router(explained.routes(app.state.explained))
    app.include_router(_figures(database, meter))
    app.include_router(_silences(database))
    app.include_router(opinions.routes(database))
    app.include_router(events.routes(database, ended))
    app.include_router(page("apps.finance_monitor"))
    return app, meter


def _items(inbox: Inbox, signed: Signed | None) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["items"])

    @routes.post("/items", status_code=202, openapi_extra=ITEMS)
    async def push(caller: Server, request: Request) -> list[dict[str, Any]]:
        """One news item, a list of them, or JSON lines; each is answered, once it is on disk, in order."""
        body = await request.body()
        if signed:
            signed.check(request.headers, body)
        lines = _lines(body)
        if not lines:
            raise Problem(422, "no item; send one as JSON, a list of them, or JSON lines")
        queue: Queue = request.app.state.service.queue
        try:
            found = await queue.run(lambda: inbox.put(lines))
        except Full:
            raise Problem(503, "the monitor is behind; send these items again", {"Retry-After": "10"}) from None
        return [asdict(verdict) for verdict in found]

    return routes


def _lines(body: bytes) -> list[bytes]:
    """A body of JSON, or of JSON lines, as lines."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return [line for line in body.split(b"\n") if line.strip()]
    return [json.dumps(one).encode() for one in whole] if isinstance(whole, list) else [body]


def _alerts(database: Database) -> APIRouter:
    routes = APIRouter(prefix="/v1/alerts", tags=["alerts"])

    @routes.get("")
    def alerts(
        caller: Desk,
        status: Literal["firing", "resolved"] | None = None,
        key: Name | None = None,
        since: Annotated[Time | None, Query(description="Of the last change.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[dict[str, Any]]:
        """Alerts as they are now, the one that changed last first; `silence`: what hides it."""
        wanted = _key(key) if key else None
        found: list[dict[str, Any]] = []
        with database.read() as connection:
            silences, now = Silences(connection), charts.now(connection)
            for told in changelog.latest(connection, status):
                if len(found) == limit:
                    break
                mine = wanted is None or told.alert["key"] == asdict(wanted)
                if mine and (since is None or told.time >= since):
                    firing = told.alert["status"] == "firing"
                    silence = silences.hides(told.alert, max(now, told.time)) if firing else told.silence
                    found.append({**told.as_dict(), "silence": silence})
        return found

    @routes.get("/{id}")
    def alert(caller: Desk, id: Id) -> list[dict[str, Any]]:
        """All changes of an alert, in order; `silence`: what hides a change from the sinks."""
        with database.read() as connection:
            found = changelog.of(connection, id)
        if not found:
            raise Problem(404, f"no alert {id}")
        return [told.as_dict() for told in found]

    return routes


def _figures(database: Database, meter: Meter) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["figures"])

    @routes.get("/series")
    def counts(
        caller: Desk,
        key: Annotated[list[str], Query(min_length=1, max_length=MOST_KEYS)],
        hours: Annotated[int, Query(ge=1, le=60 * 24)] = 24,
        every: Annotated[Literal["15", "60", "240", "1440"], Query(description="Minutes of a span.")] = "15",
        until: Annotated[Time | None, Query(description="By default now, as the feed tells the time.")] = None,
    ) -> dict[str, Any]:
        """Stories, negative stories and expected negative ones of keys, span after span; `times` are their ends."""
        span = timedelta(minutes=int(every))
        wanted = [_key(one) for one in key]
        with database.read() as connection:
            at = until or charts.now(connection)
            end = at + (datetime(1970, 1, 1, tzinfo=UTC) - at) % span
            number = max(1, timedelta(hours=hours) // span)
            found = charts.read(connection, wanted, end - number * span, number, span)
        times = [rfc3339(end - (number - 1 - place) * span) for place in range(number)]
        return {"times": times, "series": [{"key": asdict(one), **found[one]} for one in wanted]}

    @routes.get("/keys")
    def busiest(
        caller: Desk,
        hours: Annotated[int, Query(ge=1, le=60 * 24)] = 24,
        limit: Annotated[int, Query(ge=1, le=MOST_KEYS)] = 40,
    ) -> list[dict[str, Any]]:
        """Topics and companies with their counts of the last hours, those with most negative stories first."""
        with database.read() as connection:
            return charts.busiest(connection, charts.now(connection) - timedelta(hours=hours), limit)

    @routes.get("/status")
    def status(caller: Desk) -> dict[str, Any]:
        """How far the monitor is, and what it has counted."""
        pulse = meter.pulse
        counted = ("items", "late", "duplicates", "dead")
        with database.read() as connection:
            now = charts.now(connection)
        return {
            "time": rfc3339(now),
            "newest": rfc3339(pulse.event) if pulse and pulse.event else None,
            **{name: getattr(pulse, name) if pulse else 0 for name in counted},
            "routes": {route: pulse.routes.get(route, 0) if pulse else 0 for route in ROUTES},
            "repeats": pulse.repeats if pulse else 0,
            "pending": _pending(pulse),
            "undelivered": meter.undelivered(),
            "given_up": meter.given_up(),
        }

    return routes


def _pending(pulse: Pulse | None) -> list[dict[str, Any]]:
    """Keys that may be about to surge, the likeliest first."""
    found = sorted(pulse.pending.items(), key=lambda one: one[1]) if pulse else []
    return [{"key": asdict(key), "p_value": p_value} for key, p_value in found]


def _silences(database: Database) -> APIRouter:
    routes = APIRouter(prefix="/v1/silences", tags=["silences"])

    @routes.get("")
    def silences(caller: Desk, all: bool = False) -> list[dict[str, Any]]:
        """Those that are not over, or all, the newest first."""
        with database.read() as connection:
            now = charts.now(connection)
            found = Silences(connection).all()
        return [one.as_dict() for one in found if all or one.ends is None or one.ends > now]

    @routes.post("", status_code=201)
    def silence(caller: Desk, body: NewSilence) -> dict[str, Any]:
        """Keep alerts of a key from the sinks for a time; what still fires at its end is told then."""
        with database.write() as connection:
            starts = body.starts or charts.now(connection)
            ends = starts + timedelta(hours=body.hours) if body.hours else body.ends
            author = body.author or caller.name
            made = Silences(connection).add(
                body.key, starts, ends, weekly=body.weekly, reason=body.reason, author=author
            )
        return made.as_dict()

    @routes.delete("/{id}")
    def end(caller: Desk, id: Id) -> dict[str, Any]:
        """Let it hide nothing from now on."""
        with database.write() as connection:
            try:
                return Silences(connection).end(id, charts.now(connection)).as_dict()
            except InputError as fault:
                raise Problem(404, str(fault)) from None

    return routes


def _key(text: str) -> Key:
    kind, value = parsed(text)
    return Key(kind, value)  # type: ignore[arg-type]
