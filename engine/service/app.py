"""App: a FastAPI application with keys, limits, problems, metrics and health in place."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.requests import HTTPConnection
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.service import problems
from engine.service.keys import Caller, Keys, Role
from engine.service.problems import Problem
from engine.service.queue import Queue

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

MAX_BODY = 1_000_000
"""Bytes of a request."""
PER_MINUTE = 600
"""Requests of one key; of a widget's key, of one address that uses it."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Parts:
    """What a request handler finds under `request.app.state.service`."""

    keys: Keys
    queue: Queue
    allowance: Allowance
    registry: CollectorRegistry
    """An application's own figures for /metrics are registered here."""
    local: bool


class Allowance:
    """A moving window of requests for each caller, in this process' memory."""

    def __init__(self, per_minute: int) -> None:
        from limits import RateLimitItemPerMinute
        from limits.storage import MemoryStorage
        from limits.strategies import MovingWindowRateLimiter

        self._limit = RateLimitItemPerMinute(per_minute)
        self._windows = MovingWindowRateLimiter(MemoryStorage())

    def spend(self, who: str) -> None:
        """Raises: Problem: 429 with Retry-After, when nothing is left."""
        if not self._windows.hit(self._limit, who):
            again = self._windows.get_window_stats(self._limit, who).reset_time - time.time()
            raise Problem(429, "too many requests from here", {"Retry-After": str(max(1, round(again)))})


def create(
    title: str, keys: Keys, *, queue: Queue, per_minute: int = PER_MINUTE, version: str = "", local: bool = False
) -> FastAPI:
    """An application that answers /healthz and /metrics; its own routes take `allow(...)` for a parameter.

    Args:
        local: as long as no key was ever made, callers on this machine need none.
    """
    app = FastAPI(title=title, version=version or "0", docs_url="/docs", redoc_url=None)
    measures = _Measures(title, queue)
    app.state.service = Parts(keys, queue, Allowance(per_minute), measures.registry, local)
    problems.install(app)

    @app.get("/healthz", tags=["service"])
    async def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/metrics", tags=["service"], response_class=Response)
    async def metrics() -> Response:
        """Counts and times in Prometheus' text format."""
        return measures.page()

    # A browser asks for leave without the key; which pages a key works in is told by the key.
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(_Gate, measures=measures)
    return app


def allow(*roles: Role) -> Any:
    """A route's parameter that is the caller, if its key has one of the roles."""

    def caller(request: Request) -> Caller:  # no coroutine: it asks the database
        return _caller(request, roles)

    return Depends(caller)


def _caller(request: Request, roles: tuple[Role, ...]) -> Caller:
    parts: Parts = request.app.state.service
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    found = parts.keys.caller(key.strip()) if scheme.lower() == "bearer" else None
    if found is None and not scheme and parts.local and from_here(request) and not parts.keys.all():
        found = Caller("local", "default", "server", (), "")
    if found is None:
        raise Problem(401, "send a key: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})
    address = request.client.host if request.client else ""
    parts.allowance.spend(f"{found.name} {address}" if found.role == "widget" else found.name)
    if found.role not in roles:
        raise Problem(403, f"a key of the role {found.role} may not do this; it takes: {', '.join(roles)}")
    if found.role == "widget" and request.headers.get("origin") not in found.origins:
        raise Problem(403, "this key works in the pages that it was made for and nowhere else")
    return found


def from_here(request: HTTPConnection) -> bool:
    """Whether this machine asks, by a name of its own; no page of another site may ask in its stead."""
    address = request.client.host if request.client else ""
    names = (address, urlsplit(f"//{request.headers.get('host', '')}").hostname)
    return all(name in _LOOPBACK for name in names) and from_own_page(request)


def from_own_page(request: HTTPConnection) -> bool:
    """Whether no page of another site asks: browsers name the page whenever it could do harm."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


class _Measures:
    """Prometheus' figures of one application."""

    def __init__(self, title: str, queue: Queue) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        self.requests = Counter(
            "keel_requests", "Requests by route and status.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram("keel_request_seconds", "Time to answer.", ["route"], registry=self.registry)
        busy = Gauge("keel_queue_busy", "Inference calls that run or wait.", registry=self.registry)
        busy.set_function(lambda: queue.busy)
        Gauge("keel_info", "The application.", ["title"], registry=self.registry).labels(title).set(1)

    def page(self) -> Response:
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class _Gate:
    """Around every request: its number, its size, its time."""

    def __init__(self, app: ASGIApp, measures: _Measures) -> None:
        self.app, self.measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, number, status = time.perf_counter(), uuid.uuid4().hex, 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", number.encode())]
            await send(message)

        try:
            await self.app(scope, _bounded(receive), sent)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.measures.requests.labels(scope["method"], route, status).inc()
            self.measures.seconds.labels(route).observe(time.perf_counter() - started)


def _bounded(receive: Receive) -> Callable[[], Coroutine[Any, Any, Message]]:
    """`receive` that ends where a body grows too large."""
    taken = 0

    async def received() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY:
            raise HTTPException(413, f"a request holds at most {MAX_BODY:,} bytes")
        return message

    return received
