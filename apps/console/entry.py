"""Entry: around an application of the house: its own pages need no key of whoever is at the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.requests import HTTPConnection

from engine.service import from_own_page
from engine.service.app import KNOWN

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from apps.console.session import Sessions
    from engine.service import Caller

SAFE = ("GET", "HEAD")


class Entry:
    """ASGI middleware. A session is worth its key here as well: its tenant, its role, what it is narrowed to.

    A request with a key is its key's, good or not. Browsers send a cookie along with what other pages ask, and a page
    of another port is of the same site for them; so the browser must say that a page of this very origin asks.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self.app, self._sessions = app, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (caller := await self._caller(HTTPConnection(scope), scope["method"])):
            scope = {**scope, KNOWN: caller}
        await self.app(scope, receive, send)

    async def _caller(self, request: HTTPConnection, method: str) -> Caller | None:
        keyless = "authorization" not in request.headers
        return await self._sessions.signed(request) if keyless and _own(request, method) else None


def _own(request: HTTPConnection, method: str) -> bool:
    """By Fetch Metadata (W3C); browsers of before it name at least the origin of what may change something."""
    site = request.headers.get("sec-fetch-site")
    told = site == "same-origin" if site is not None else method in SAFE or "origin" in request.headers
    return told and from_own_page(request)
