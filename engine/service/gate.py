"""Gate: what stands around an application's routes: numbers, sizes and times of requests, and the short way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.service import logs, telemetry
from engine.service.queue import Queue

MAX_BODY = 1_000_000
"""Bytes of a request."""
NUMBER = "keel.request"
"""Of the request, in its scope and in the log."""


class Measures:
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

        self._of: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        found = self._of.get((method, route, status))
        if found is None:
            found = self.requests.labels(method, route, status), self.seconds.labels(route)
            self._of[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def page(self) -> Response:
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class Gate:
    """Around every request: its number, its size, its time."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self.app, self.measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if NUMBER in scope:  # mounted in another of these, which tells of the request
            await self._measured(scope, receive, send)
            return
        notes, number = logs.begin(), f"{random.getrandbits(128):032x}"
        scope[NUMBER] = number

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", number.encode())]
            await send(message)

        with telemetry.span(scope["method"], lambda: Headers(scope=scope)) as span:
            route, status, seconds = await self._measured(scope, receive, sent)
            if span:
                span.update_name(f"{scope['method']} {route}")
                span.set_attributes({"http.request.method": scope["method"], "http.route": route})
                span.set_attribute("http.response.status_code", status)
        ms = round(1000 * seconds, 2)
        logs.told(id=number, method=scope["method"], route=route, status=status, ms=ms, **notes)

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> tuple[str, int, float]:
        """Route, status and seconds of a request that is answered; its faults are answered here as well."""
        started, status = time.perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, _bounded(receive), sent)
        finally:
            route = scope.get("root_path", "") + getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - started
            self.measures.answered(scope["method"], route, status, seconds)
        return route, status, seconds


class Straight:
    """Around all of FastAPI, whose layers take longer than the rest of a short call: some routes are answered here.

    Only what needs none of it: a page of another site, which names itself, goes the usual way, as all else does.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Route], handlers: Mapping[Any, Any]) -> None:
        self.app, self.routes, self.handlers = app, routes, handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.routes and scope["type"] == "http" and "origin" not in Headers(scope=scope):
            for route in self.routes:
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found)
                    scope["route"], scope["starlette.exception_handlers"] = route, (self.handlers, {})
                    await route.handle(scope, receive, send)
                    return
        await self.app(scope, receive, send)


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
