"""Login: a key is exchanged for a session, and the session ended. A page of plain HTML: it runs nothing."""

from __future__ import annotations

import re
from html import escape
from importlib import resources
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from apps.console.guard import HEADERS, LOGIN
from apps.console.session import COOKIE, LASTS_S, Sessions
from apps.console.words import HTML, Words
from engine.service import Problem, from_own_page

POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

_PATH = re.compile(r"/(?:[^/\\\s\x00-\x1f][^\\\s\x00-\x1f]*)?")
Key = Annotated[str, Form(max_length=500)]


def routes(sessions: Sessions) -> APIRouter:
    made = APIRouter(include_in_schema=False)

    @made.get(LOGIN)
    def login(request: Request, to: str = "/") -> Response:
        return _page(Words.of(request), to)

    @made.post(LOGIN)
    async def begin(request: Request, key: Key, to: Annotated[str, Form()] = "/") -> Response:
        _own(request)
        request.app.state.service.allowance.spend(f"login {request.client.host if request.client else ''}")
        cookie = await run_in_threadpool(sessions.begin, key.strip())
        if cookie is None:
            return _page(Words.of(request), to, wrong=True)
        answer = RedirectResponse(_here(to), 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, cookie, max_age=LASTS_S, httponly=True, samesite="lax", secure=secure)
        return answer

    @made.post("/logout")
    def end(request: Request) -> Response:
        _own(request)
        answer = RedirectResponse(LOGIN, 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return answer

    return made


def _own(request: Request) -> None:
    if not from_own_page(request):
        raise Problem(403, "sent from a page of another site")


def _here(to: str) -> str:
    """The path, if it is one of this house: nobody is sent elsewhere by a link to the login."""
    return to if _PATH.fullmatch(to) else "/"


def _page(words: Words, to: str, *, wrong: bool = False) -> Response:
    template = resources.files("apps.console").joinpath("login.html").read_text(encoding="utf-8")
    texts = {name: escape(words(f"login.{name}")) for name in ("title", "key", "enter", "hint")}
    fault = f'<p class="fault" role="alert">{escape(words("login.wrong"))}</p>' if wrong else ""
    page = template.format(lang=HTML[words.tongue], to=escape(_here(to)), fault=fault, **texts)
    headers = {**HEADERS, "content-security-policy": POLICY, "cache-control": "no-store"}
    return HTMLResponse(page, 401 if wrong else 200, headers=headers)
