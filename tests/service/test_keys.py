"""Keys that are narrowed, rotated, or run out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from typer.testing import CliRunner

from engine.db import Database
from engine.errors import InputError
from engine.serve_cli import keys as commands
from engine.service import Caller, Keys, Queue, allow, api, create
from engine.service.keys import _TABLE


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = api.opened(f"sqlite:///{tmp_path}/keys.db")
    yield found
    found.close()


def test_a_rotated_keys_former_secret_works_as_long_as_was_said(database: Database) -> None:
    keys = Keys(database)
    first = keys.add("shop", "server", "acme", scopes=["predict"])
    second = keys.rotate("shop", grace=timedelta(hours=1))
    assert all(keys.caller(key) for key in (first, second))
    third = keys.rotate("shop", grace=timedelta(hours=1))
    assert (keys.caller(first), keys.caller(second) is not None) == (None, True)
    last = keys.rotate("shop")
    assert [keys.caller(one) for one in (first, second, third)] == [None] * 3
    found = keys.caller(last)
    assert found is not None
    assert (found.name, found.tenant, found.scopes) == ("shop", "acme", ("predict",))
    past = "2026-01-01T00:00:00+00:00"
    with database.write() as connection:
        connection.execute(update(_TABLE).values(former=_TABLE.c.sha256, former_until=past, sha256="another"))
    assert Keys(database).caller(last) is None
    with pytest.raises(InputError, match="no key"):
        keys.rotate("nobody")


def test_a_key_runs_out(database: Database) -> None:
    keys = Keys(database)
    assert keys.caller(keys.add("gone", "server", lasts=timedelta(seconds=-1))) is None
    assert keys.caller(keys.add("here", "server", lasts=timedelta(days=1))) is not None


def test_when_a_key_was_used_last_is_noted(database: Database) -> None:
    keys = Keys(database)
    key = keys.add("shop", "server")
    assert keys.all()[0].used == ""
    keys.caller(key)
    noted = keys.all()[0].used
    assert noted >= keys.all()[0].created
    with database.write() as connection:
        connection.execute(update(_TABLE).values(used="2026-01-01T00:00:00+00:00"))
    keys.caller(key)
    assert keys.all()[0].used < noted, "a key that was looked up just now is not looked up again"
    Keys(database).caller(key)
    assert keys.all()[0].used >= noted


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ([], {"own", "predict"}),
        (["predict"], {"predict"}),
        (["test", "predict"], {"own", "predict"}),
        (["admin"], {"own", "predict", "admin"}),
    ],
)
def test_a_key_does_what_it_is_narrowed_to(database: Database, scopes: list[str], allowed: set[str]) -> None:
    keys, queue = Keys(database), Queue(1)
    app = create("test", keys, queue=queue)

    @app.get("/own")
    def own(caller: Caller = allow("server")) -> None: ...  # noqa: B008

    @app.get("/predict")
    def predict(caller: Caller = allow("server", scope="predict")) -> None: ...  # noqa: B008

    @app.get("/admin")
    def admin(caller: Caller = allow("server", scope="admin")) -> None: ...  # noqa: B008

    headers = {"Authorization": f"Bearer {keys.add('a', 'server', scopes=scopes)}"}
    with TestClient(app, headers=headers) as http:
        statuses = {path: http.get(f"/{path}").status_code for path in ("own", "predict", "admin")}
    assert statuses == {path: 200 if path in allowed else 403 for path in statuses}
    queue.close()


def test_the_commands(home: Path) -> None:
    def run(*arguments: str) -> Any:
        found = CliRunner().invoke(commands, arguments)
        if found.exception and not isinstance(found.exception, SystemExit):
            raise found.exception
        return json.loads(found.stdout) if "--json" in arguments else found.stdout

    made = run("add", "shop", "--scope", "predict", "--days", "30", "--tenant", "acme", "--json")
    assert (made["name"], made["tenant"], made["role"], made["scopes"]) == ("shop", "acme", "server", ["predict"])
    rotated = run("rotate", "shop", "--grace", "24", "--json")
    (listed,) = run("list", "--json")
    assert (listed["scopes"], listed["used"], listed["expires"] > listed["created"]) == (["predict"], "", True)
    assert made["key"] not in json.dumps(listed)
    keys = Keys(api.opened(None))
    assert all(keys.caller(key) for key in (made["key"], rotated["key"]))
    assert run("list").split("\t")[:4] == ["shop", "acme", "server", "predict"]
    run("revoke", "shop")
    assert run("list") == ""
    for wrong in (("--role", "widget"), ("--scope", "predct"), ("--origin", "https://shop.example")):
        with pytest.raises(InputError):
            run("add", "other", *wrong)
    keys.database.close()
