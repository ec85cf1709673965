"""Guard: around the console's pages, files and sockets: nothing without a session, nothing for another site."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi.requests import HTTPConnection
from fastapi.responses import RedirectResponse

from engine.service import Problem, from_own_page

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from apps.console.session import Sessions

CALLER = "keel.caller"
"""Where a page finds who asks, in the request's scope."""
LOGIN = "/login"
POLICY = (
    # The page's framework compiles its templates in the browser and writes styles and its import map into the page.
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
VIOLATION = 1008
"""WebSocket's code for a connection that is not allowed."""


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self.app, self._sessions = app, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        caller = await self._sessions.caller(connection) if from_own_page(connection) else None
        if caller is not None:
            scope[CALLER] = caller
            watched = self._watched(connection, receive, send) if scope["type"] == "websocket" else receive
            await self.app(scope, watched, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": VIOLATION})
        elif scope["method"] == "GET" and "text/html" in connection.headers.get("accept", ""):
            path = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            await RedirectResponse(f"{LOGIN}?to={quote(path)}", 303)(scope, receive, send)
        else:
            await Problem(401, f"no session here; begin one under {LOGIN}").response()(scope, receive, send)

    def _watched(self, connection: HTTPConnection, receive: Receive, send: Send) -> Receive:
        """A socket stays open for hours: what comes in is taken as long as the session lasts."""

        async def received() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and await self._sessions.caller(connection) is None:
                await send({"type": "websocket.close", "code": VIOLATION})
                return {"type": "websocket.disconnect", "code": VIOLATION}
            return message

        return received


def _with_headers(send: Send) -> Send:
    added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *added]
        await send(message)

    return sent
