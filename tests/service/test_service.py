"""The base of every service: keys, limits, the queue."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from engine import feedback
from engine.db import Database
from engine.errors import InputError
from engine.service import Caller, Keys, Problem, Queue, allow, create


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database.open(f"sqlite:///{tmp_path}/keys.db", name="feedback", migrations=feedback.MIGRATIONS)
    yield found
    found.close()


def test_a_key_is_shown_once_and_only_its_hash_is_stored(database: Database, tmp_path: Path) -> None:
    keys = Keys(database)
    key = keys.add("shop", "server", "acme")
    caller = keys.caller(key)
    assert caller is not None
    assert (caller.name, caller.tenant, caller.role) == ("shop", "acme", "server")
    assert keys.caller(key + "x") is None
    assert key.encode() not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    with pytest.raises(InputError, match="already"):
        keys.add("shop", "agent")
    keys.revoke("shop")
    assert keys.caller(key) is None
    with pytest.raises(InputError, match="no key"):
        keys.revoke("shop")
    with pytest.raises(InputError, match="leave / out"):
        keys.add("desk/ana", "agent")


def test_a_public_key_is_bound_to_pages(database: Database) -> None:
    keys = Keys(database)
    with pytest.raises(InputError, match="--origin"):
        keys.add("page", "widget")
    for wrong in ("shop.example", "https://shop.example/path", "*", "https://*.example"):
        with pytest.raises(InputError, match="scheme and host"):
            keys.add("page", "widget", origins=[wrong])
    keys.add("page", "widget", origins=["https://shop.example", "http://localhost:8000"])
    assert keys.all()[0].origins == ("https://shop.example", "http://localhost:8000")


def test_who_asks_too_often_is_told_when_to_come_again(database: Database) -> None:
    keys, queue = Keys(database), Queue(1)
    app = create("test", keys, queue=queue, per_minute=3)

    @app.get("/thing")
    def thing(caller: Caller = allow("server")) -> str:  # noqa: B008
        return caller.name

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret path /etc")

    with TestClient(app, raise_server_exceptions=False) as http:
        headers = {"Authorization": f"Bearer {keys.add('a', 'server')}"}
        assert [http.get("/thing", headers=headers).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        assert int(http.get("/thing", headers=headers).headers["retry-after"]) >= 1
        other = {"Authorization": f"Bearer {keys.add('b', 'server')}"}
        assert http.get("/thing", headers=other).json() == "b"
        answer = http.get("/broken")
        assert answer.status_code == 500
        assert "secret" not in answer.text
    queue.close()


@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"X-Real-IP": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
    ],
    ids=str,
)
def test_whom_a_proxy_of_this_machine_forwards_is_not_on_it(database: Database, header: dict[str, str]) -> None:
    app = create("test", Keys(database), queue=(queue := Queue(1)), local=True)

    @app.get("/thing")
    def thing(caller: Caller = allow("server", scope="admin")) -> str:  # noqa: B008
        return caller.name

    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)) as http:
        assert http.get("/thing").json() == "local"
        for path in ("/thing", "/metrics"):
            assert http.get(path, headers=header).status_code == 401
    queue.close()


def test_a_service_of_one_tenant_has_nothing_for_keys_of_others(database: Database) -> None:
    keys, queue = Keys(database), Queue(1)
    app = create("test", keys, queue=queue, local=True, tenant="acme")

    @app.get("/thing")
    def thing(caller: Caller = allow("server")) -> str:  # noqa: B008
        return caller.tenant

    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)) as http:
        assert http.get("/thing").json() == "acme", "whoever is on this machine is its tenant's"
        for tenant, status in (("acme", 200), ("default", 404)):
            headers = {"Authorization": f"Bearer {keys.add(tenant, 'server', tenant)}"}
            assert http.get("/thing", headers=headers).status_code == status
        headers = {"Authorization": f"Bearer {keys.add('agent', 'agent')}"}
        assert http.get("/thing", headers=headers).status_code == 403
    queue.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql+nodriver://keel:s3cret@127.0.0.1/keel",
        "nosuch://keel:s3cret@127.0.0.1/keel",
        "postgresql+psycopg://keel:s3cret@127.0.0.1:port/keel",
        "postgresql+psycopg//keel:s3cret@127.0.0.1/keel",
        "postgresql+psycopg://keel:s3cret@127.0.0.1:1/keel",
        "postgresql+psycopg://127.0.0.1:1/keel?user=keel&password=s3cret",
    ],
)
def test_a_database_that_does_not_open_is_told_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match=r"database .*127\.0\.0\.1") as fault:
        Database.open(url, name="feedback", migrations=feedback.MIGRATIONS)
    assert "s3cret" not in str(fault.value)
    assert fault.value.__cause__ is None


def test_the_queue_refuses_what_would_wait_too_long() -> None:
    queue, gate = Queue(1, waiting=1), threading.Event()

    async def scene() -> list[object]:
        running = [asyncio.create_task(queue.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await queue.run(lambda: None)
        gate.set()
        return [refused.value.status, *await asyncio.gather(*running), queue.busy]

    assert asyncio.run(scene()) == [503, True, True, 0]
    queue.close()
