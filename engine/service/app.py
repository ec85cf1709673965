"""App: a FastAPI application with keys, limits, problems, metrics and health in place."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.cors import CORSMiddleware
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.routing import Route

from engine.service import logs, problems
from engine.service.gate import Gate, Measures, Straight
from engine.service.keys import ADMIN, Caller, Keys, Role
from engine.service.problems import Problem
from engine.service.queue import Queue
from engine.service.readiness import Readiness

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

METRICS = "metrics"
"""The scope of a scraper's key."""
MINUTE = 60.0
PER_MINUTE = 600
"""Requests of one key; of a widget's key, of one address that uses it."""
KNOWN = "keel.known"
"""A caller, in a request's scope, whom what stands around the application knows already: no key is asked for."""
LOCAL = Caller("local", "default", "server", (), "", (ADMIN,))
"""Whoever is on this machine while there is no key."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_FORWARDED = ("forwarded", "via", "x-forwarded-", "x-real-ip")
"""How headers begin that a proxy adds: whom it forwards asks from elsewhere, though it asks from here itself."""
_LOG = logging.getLogger("keel.service")


@dataclass(frozen=True)
class Parts:
    """What a request handler finds under `request.app.state.service`."""

    title: str
    keys: Keys
    queue: Queue
    allowance: Allowance
    registry: CollectorRegistry
    """An application's own figures for /metrics are registered here."""
    local: bool
    tenant: str | None
    straight: list[Route]
    """Routes that FastAPI's layers are not around; see `Straight`."""


class Allowance:
    """A moving window of requests for each caller, in this process' memory; for its event loop alone."""

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self._spent: dict[str, deque[float]] = {}
        self._swept = time.monotonic()

    def spend(self, who: str) -> None:
        """Raises: Problem: 429 with Retry-After, when nothing is left."""
        now = time.monotonic()
        if now > self._swept + MINUTE:  # those who are gone are forgotten
            self._swept = now
            self._spent = {one: times for one, times in self._spent.items() if times[-1] > now - MINUTE}
        times = self._spent.setdefault(who, deque())
        while times and times[0] <= now - MINUTE:
            times.popleft()
        if len(times) >= self._most:
            again = max(1, math.ceil(times[0] + MINUTE - now))
            raise Problem(429, "too many requests from here", {"Retry-After": str(again)})
        times.append(now)


def create(
    title: str,
    keys: Keys,
    *,
    queue: Queue,
    per_minute: int = PER_MINUTE,
    version: str = "",
    local: bool = False,
    tenant: str | None = None,
    ready: Callable[[], Readiness] = Readiness,
) -> FastAPI:
    """An application that answers /healthz, /readyz and /metrics; its own routes take `allow(...)` for a parameter.

    Args:
        title: its name; also the scope of keys that are narrowed to it.
        local: as long as no key was ever made, callers on this machine need none.
        tenant: whose all of it is: for keys of others it is not there. None: its routes tell tenants apart.
        ready: how its own parts stand.
    """
    own: Any = {"tracing": False, "metrics": False, "logs": False}  # `Gate` sees to them
    app = FastAPI(title=title, version=version or "0", docs_url="/docs", redoc_url=None, telemetry=own)
    measures, straight = Measures(title, queue), list[Route]()
    allowance = Allowance(per_minute)
    app.state.service = Parts(title, keys, queue, allowance, measures.registry, local, tenant, straight)
    problems.install(app)

    @app.get("/healthz", tags=["service"])
    async def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["service"])
    def readyz() -> JSONResponse:
        """Whether it may be sent work: its database answers and its models are loaded; else 503."""
        found = ready()
        try:
            keys.any()
        except SQLAlchemyError as fault:
            _LOG.error("the database does not answer: %s", fault)
            found = Readiness(False, {**found.details, "database": "does not answer"})
        return JSONResponse(
            {"status": "ready" if found.ready else "not ready", "details": dict(found.details)},
            200 if found.ready else 503,
        )

    @app.get("/metrics", tags=["service"], response_class=Response)
    async def metrics(request: Request) -> Response:
        """Counts and times in Prometheus' text format, for whoever is on this machine or has a key."""
        if not from_here(request):
            await calling(request, ("server", "agent"), METRICS)
        return measures.page()

    # A browser asks for leave without the key; which pages a key works in is told by the key.
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(Straight, routes=straight, handlers=app.exception_handlers)
    app.add_middleware(Gate, measures=measures)
    return app


def allow(*roles: Role, scope: str = "") -> Any:
    """A route's parameter that is the caller, if its key has one of the roles.

    Args:
        scope: which a key that is narrowed to some must name; by default the application's title.
    """

    async def caller(request: Request) -> Caller:
        return await calling(request, roles, scope)

    return Depends(caller)


async def calling(request: Request, roles: tuple[Role, ...], scope: str = "") -> Caller:
    """Who calls, as `allow`; for a route that asks by itself."""
    parts: Parts = request.app.state.service
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    found = None
    if scheme.lower() == "bearer":
        found = parts.keys.remembered(key.strip()) or await run_in_threadpool(parts.keys.caller, key.strip())
    elif not scheme and KNOWN in request.scope:
        found = request.scope[KNOWN]
    elif not scheme and parts.local and from_here(request) and not await run_in_threadpool(parts.keys.any):
        found = replace(LOCAL, tenant=parts.tenant or LOCAL.tenant)
    if found is None:
        raise Problem(401, "send a key: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})
    logs.note(caller=found.name, tenant=found.tenant)
    address = request.client.host if request.client else ""
    parts.allowance.spend(f"{found.name} {address}" if found.role == "widget" else found.name)
    if found.role not in roles:
        raise Problem(403, f"a key of the role {found.role} may not do this; it takes: {', '.join(roles)}")
    if not found.may(scope or parts.title):
        raise Problem(403, f"this key is narrowed to: {', '.join(found.scopes)}; it takes: {scope or parts.title}")
    if found.role == "widget" and request.headers.get("origin") not in found.origins:
        raise Problem(403, "this key works in the pages that it was made for and nowhere else")
    if parts.tenant not in (None, found.tenant):
        raise Problem(404, f"there is nothing here of the tenant {found.tenant}")
    return found


def from_here(request: HTTPConnection) -> bool:
    """Whether this machine asks, by a name of its own; no proxy or page of another site may ask in its stead."""
    if any(name.startswith(_FORWARDED) for name in request.headers):
        return False
    address = request.client.host if request.client else ""
    names = (address, urlsplit(f"//{request.headers.get('host', '')}").hostname)
    return all(name in _LOOPBACK for name in names) and from_own_page(request)


def from_own_page(request: HTTPConnection) -> bool:
    """Whether no page of another site asks: browsers name the page whenever it could do harm."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
