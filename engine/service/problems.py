"""Problems: every fault of a service leaves as application/problem+json (RFC 9457)."""

from __future__ import annotations

import logging
import uuid
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from engine.errors import InputError

_LOG = logging.getLogger("keel.service")


class Problem(Exception):
    """A fault with its HTTP status.

    Args:
        detail: what is wrong, and what to do about it.
        headers: such as Retry-After.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, headers, more

    def response(self) -> JSONResponse:
        title = HTTPStatus(self.status).phrase
        body = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, **self.more}
        return JSONResponse(body, self.status, self.headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Let the app answer every fault so."""

    @app.exception_handler(Problem)
    async def problem(_: Request, fault: Problem) -> JSONResponse:
        return fault.response()

    @app.exception_handler(HTTPException)
    async def http(_: Request, fault: HTTPException) -> JSONResponse:
        return Problem(fault.status_code, str(fault.detail), dict(fault.headers or {})).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, fault: RequestValidationError) -> JSONResponse:
        faults = [{"field": ".".join(map(str, one["loc"])), "fault": one["msg"]} for one in fault.errors()]
        detail = "; ".join(f"{one['field']}: {one['fault']}" for one in faults)
        return Problem(422, detail, errors=faults).response()

    @app.exception_handler(InputError)
    async def given(_: Request, fault: InputError) -> JSONResponse:
        return Problem(422, str(fault)).response()

    @app.exception_handler(Exception)
    async def unexpected(request: Request, fault: Exception) -> JSONResponse:
        # Its text may hold what callers must not see: they get a number under which it stands in the log.
        number = request.scope.get("keel.request") or uuid.uuid4().hex
        route = getattr(request.scope.get("route"), "path", "other")  # a path may hold what is personal
        _LOG.error("fault %s at %s %s", number, request.method, route, exc_info=fault)
        return Problem(500, f"something failed here; our log has it as {number}").response()
