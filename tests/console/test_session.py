"""Sessions end with their key; the guard lets nothing through without one, and nothing for another site."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import WebSocket
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from apps.console import login, session
from apps.console.guard import CALLER, Guard
from apps.console.session import COOKIE, Sessions
from engine.db import Database
from engine.service import Keys, Queue, create
from engine.service import keys as service_keys
from engine.service.keys import MIGRATIONS

HERE = "http://127.0.0.1:8000"
SOCKET = "ws://127.0.0.1:8000/socket"
HTML = {"accept": "text/html"}


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    database = Database.open(f"sqlite:///{tmp_path}/keys.db", name="service", migrations=MIGRATIONS)
    yield Keys(database)
    database.close()


@pytest.fixture
def client(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Logins, and behind the guard a page and a socket that tell who asks."""
    monkeypatch.setattr(service_keys, "REMEMBERED_S", 0.0)
    sessions = Sessions(keys, b"a secret of tests")
    queue = Queue(1)
    house = create("keel", keys, queue=queue)
    house.include_router(login.routes(sessions))

    async def shown(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await PlainTextResponse(scope[CALLER].name)(scope, receive, send)
            return
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await socket.send_text(f"{scope[CALLER].name} said {await socket.receive_text()}")

    house.mount("/", Guard(shown, sessions))
    with TestClient(house, base_url=HERE, client=("127.0.0.1", 5000), follow_redirects=False) as found:
        yield found
    queue.close()


def _enter(client: TestClient, key: str, **headers: str) -> Any:
    return client.post("/login", data={"key": key, "to": "/page"}, headers=headers)


def test_this_machine_needs_no_session_until_a_key_is_made(client: TestClient, keys: Keys) -> None:
    assert client.get("/page").text == "local"
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"x-forwarded-for": "127.0.0.1"}):
        assert client.get("/page", headers=headers).status_code == 401
    keys.add("desk", "agent")
    assert client.get("/page").status_code == 401
    gone = client.get("/models?name=x", headers=HTML)
    assert (gone.status_code, gone.headers["location"]) == (303, "/login?to=/models%3Fname%3Dx")


def test_a_key_opens_a_session_which_ends_with_it(client: TestClient, keys: Keys) -> None:
    key = keys.add("desk", "agent")
    entered = _enter(client, key)
    assert (entered.status_code, entered.headers["location"]) == (303, "/page")
    flags = entered.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=lax" in flags
    shown = client.get("/page")
    assert shown.text == "desk"
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    with client.websocket_connect(SOCKET) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "desk said hello"
        keys.revoke("desk")
        keys.add("desk", "server")  # another one of the same name
        socket.send_text("still here?")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()
    assert client.get("/page").status_code == 401


def test_no_other_site_acts_in_a_session(client: TestClient, keys: Keys) -> None:
    key = keys.add("desk", "server")
    foreign = {"origin": "http://evil.example"}
    assert _enter(client, key, **foreign).status_code == 403
    assert _enter(client, key, origin=HERE).status_code == 303
    assert client.post("/page", headers=foreign).status_code == 401
    assert client.post("/logout", headers=foreign).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(SOCKET, headers=foreign):
        pass
    with client.websocket_connect(SOCKET, headers={"origin": HERE}) as socket:
        socket.send_text("hello")
        assert socket.receive_text()
    assert client.post("/logout", headers={"origin": HERE}).status_code == 303
    assert client.get("/page").status_code == 401


def test_what_is_no_session_opens_nothing(client: TestClient, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    widget = keys.add("shop", "widget", origins=["https://shop.example"])
    wrong = _enter(client, "keel_server_nobody")
    assert wrong.status_code == 401
    assert "alert" in wrong.text
    assert _enter(client, widget).status_code == 401
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(SOCKET):
        pass
    _enter(client, keys.add("desk", "server"))
    cookie = client.cookies[COOKIE]
    assert client.get("/page").text == "desk"
    client.cookies.clear()
    client.cookies.set(COOKIE, cookie.replace(cookie[5], "-", 1))
    assert client.get("/page").status_code == 401
    client.cookies.clear()
    client.cookies.set(COOKIE, cookie)
    assert client.get("/page").text == "desk"
    monkeypatch.setattr(session, "LASTS_S", -1)
    assert client.get("/page").status_code == 401


@pytest.mark.parametrize(
    "to", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\t/evil.example"]
)
def test_the_login_leads_nowhere_else(client: TestClient, keys: Keys, to: str) -> None:
    key = keys.add("desk", "server")
    assert client.post("/login", data={"key": key, "to": to}).headers["location"] == "/"
    assert "evil" not in client.get("/login", params={"to": to}).text


def test_the_secret_is_made_once_and_nobody_elses(tmp_path: Path) -> None:
    made = session.secret(tmp_path / "home")
    assert len(made) == 32
    assert session.secret(tmp_path / "home") == made
    (file,) = (tmp_path / "home").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
