"""Pages: what an application shows in a browser, as files that ask its API for all they show.

Files and not a page drawn by the server: texts come from strangers, and a strict content policy that allows no inline
script is easiest kept where there is none. The files hold nothing of anybody and need no key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

PAGE = "page.html"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
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


def page(package: str) -> APIRouter:
    """The files in the folder `web` of a package, each under its name; `page.html` under / as well."""
    made = APIRouter(include_in_schema=False)
    for file in resources.files(package).joinpath("web").iterdir():
        if (kind := TYPES.get(Path(file.name).suffix)) is not None:
            answer = _answering(file.read_bytes(), kind)
            for path in (f"/{file.name}", "/") if file.name == PAGE else (f"/{file.name}",):
                made.add_api_route(path, answer, methods=["GET"])
    return made


def _answering(content: bytes, kind: str) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return Response(content, media_type=f"{kind}; charset=utf-8", headers=HEADERS)

    return answer
