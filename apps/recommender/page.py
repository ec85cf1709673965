"""Page: where a user's list is tried, as files that ask the API for all they show.

Histories are personal: the page has none of its own, and asks for a key as every caller is asked. Files that the server
only hands out keep to a content policy that lets no script in.
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
    """/ and what it loads. The files hold nothing of anybody and need no key."""
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

    @made.get("/words.js")
    async def words() -> Response:
        return _file("words.js", "text/javascript")

    return made


def _file(name: str, type: str) -> Response:
    content = resources.files("apps.recommender").joinpath("web", name).read_bytes()
    return Response(content, media_type=f"{type}; charset=utf-8", headers=HEADERS)
