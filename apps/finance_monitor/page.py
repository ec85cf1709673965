"""Page: what a risk desk keeps open, as three files that ask the API for all they show.

Files and not a page drawn by the server: titles come from strangers, and a strict content policy that allows no inline
script is easiest kept where there is none.
"""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter
from fastapi.responses import Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def routes() -> APIRouter:
    """/ and what it loads. The files hold no news and need no key."""
    made = APIRouter(include_in_schema=False)

    @made.get("/")
    async def page() -> Response:
        return _file("page.html", "text/html")

    @made.get("/page.css")
    async def style() -> Response:
        return _file("page.css", "text/css")

    @made.get("/page.js")
    async def script() -> Response:
        return _file("page.js", "text/javascript")

    @made.get("/charts.js")
    async def charts() -> Response:
        return _file("charts.js", "text/javascript")

    return made


def _file(name: str, type: str) -> Response:
    content = resources.files("apps.finance_monitor").joinpath("web", name).read_bytes()
    return Response(content, media_type=f"{type}; charset=utf-8", headers=HEADERS)
