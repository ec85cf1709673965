"""What must be refused, by every service there is: strangers, other tenants, floods, tricks with paths, and files that
would run code."""

from __future__ import annotations

import base64
import io
import json
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from apps import customer_service, finance_monitor, recommender
from apps.customer_service import api as support_api
from apps.customer_service.past import ROWS, VECTORS, Past
from apps.finance_monitor import api as news_api
from apps.finance_monitor import journal, watchfile
from apps.finance_monitor import tables as news_tables
from apps.finance_monitor.inbox import Inbox
from apps.finance_monitor.mapping import Mapping
from apps.finance_monitor.sinks.webhook import signature
from apps.recommender import api as rank_api
from apps.recommender import popularity
from apps.recommender import tables as rank_tables
from apps.recommender.settings import Settings
from apps.recommender.shelf import Shelf
from engine import Recipe, Store, Version, load
from engine.db import Database
from engine.errors import InputError, KeelError, StoreError
from engine.service import Champions, Keys, Queue, api
from engine.service.gate import MAX_BODY
from tests.service.conftest import stored

OPEN = {"/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json"}
"""Health and documentation; beside them only the files of the pages, which hold nothing of anybody."""
TRICKS = ["..", "../../etc/passwd", "/etc/passwd", "%2e%2e", "..%2f..%2fetc", "a\x00b", "a\r\nX-Evil: 1", "a" * 300]
SECRET = b"a secret of both sides"


def _engine(place: Path) -> tuple[FastAPI, Database]:
    database = api.opened(f"sqlite:///{place}/engine.db")
    return api.application(database, Champions(), queue=Queue(1), per_minute=100_000), database


def _support(place: Path) -> tuple[FastAPI, Database]:
    from apps.customer_service import settings

    def none(_: str) -> Any:
        raise InputError("no bot")

    database = settings.database(f"sqlite:///{place}/support.db")
    return support_api.application(database, none, per_minute=100_000, queue=Queue(1))[0], database


def _news(place: Path) -> tuple[FastAPI, Database]:
    database = news_tables.opened(str(place / "news.db"))
    app, _ = news_api.application(database, Inbox(database), queue=Queue(1), per_minute=100_000, secret=SECRET)
    return app, database


def _ranking(place: Path) -> tuple[FastAPI, Database]:
    database = rank_tables.opened(f"sqlite:///{place}/rank.db")
    return rank_api.application(Shelf(database, {}), queue=Queue(1), per_minute=100_000), database


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[TestClient, Keys]]]:
    place = tmp_path_factory.mktemp("services")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(place))
        for name, make in (("engine", _engine), ("support", _support), ("news", _news), ("ranking", _ranking)):
            app, database = make(place)
            # Whoever asks is on this machine: that opens nothing either, once there is a key.
            http = TestClient(
                app, base_url="http://127.0.0.1:80", client=("127.0.0.1", 5), raise_server_exceptions=False
            )
            found[name] = (http, Keys(database))
            found[name][1].add("first", "server")
        yield found
    for _, keys in found.values():
        keys.database.close()


def routes(app: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route, those of included routers too."""
    for route in app.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if hasattr(route, "methods"):
            for method in (route.methods or set()) - {"HEAD"}:
                yield method, prefix + route.path
        elif hasattr(inner, "routes"):
            yield from routes(inner, prefix + getattr(route, "path", ""))


def pages(package: Any) -> set[str]:
    folder = Path(package.__file__).parent / "web"
    return {"/"} | {f"/{file.name}" for file in folder.iterdir()} if folder.is_dir() else set()


def filled(path: str, value: str) -> str:
    """The path with every parameter set to a value."""
    return "/".join(value if part.startswith("{") else part for part in path.split("/"))


ALL = pytest.mark.parametrize("name", ["engine", "support", "news", "ranking"])


@ALL
def test_every_route_takes_a_key(services: dict[str, tuple[TestClient, Keys]], name: str) -> None:
    http, _ = services[name]
    files = set().union(*map(pages, (customer_service, finance_monitor, recommender)))
    asked = [one for one in routes(http.app) if one[1] not in OPEN | files]
    assert len(asked) >= 2
    for method, path in asked:
        for headers in ({}, {"Authorization": "Bearer keel_server_guessed"}, {"Authorization": "Basic Zmlyc3Q6"}):
            query = {"key": "keel_server_guessed"} if path != "/metrics" else {}
            strange = {"Host": "keel.example"}
            answer = http.request(method, filled(path, "0" * 32), params=query, headers=headers | strange)
            assert (answer.status_code, method, path) == (401, method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
    for path in sorted(OPEN):
        assert http.get(path).status_code == 200


@ALL
def test_a_key_narrowed_to_something_else_opens_nothing(
    services: dict[str, tuple[TestClient, Keys]], name: str
) -> None:
    http, keys = services[name]
    headers = {"Authorization": f"Bearer {keys.add('narrow', 'server', scopes=['elsewhere'])}"}
    for method, path in routes(http.app):
        if path.startswith(("/v1", "/rank/", "/feedback", "/items", "/models")):
            answer = http.request(method, filled(path, "0" * 32), headers=headers)
            assert (answer.status_code, method, path) == (403, method, path)


@ALL
def test_a_body_that_is_too_large_is_refused(services: dict[str, tuple[TestClient, Keys]], name: str) -> None:
    http, keys = services[name]
    headers = {"Authorization": f"Bearer {keys.add('large', 'server')}", "Content-Type": "application/json"}
    taking = [one for one in routes(http.app) if one[0] in ("POST", "PUT")]
    taking = [one for one in taking if not one[1].endswith(("/bot", "/close"))]  # those two read no body
    assert taking
    body = b'{"text": "' + b"a" * MAX_BODY + b'"}'
    for method, path in taking:
        answer = http.request(method, filled(path, "0" * 32), content=body, headers=headers)
        assert (answer.status_code, method, path) == (413, method, path)
        assert answer.headers["content-type"] == "application/problem+json"


@ALL
def test_tricks_in_a_path_find_nothing(services: dict[str, tuple[TestClient, Keys]], name: str) -> None:
    http, keys = services[name]
    headers = {"Authorization": f"Bearer {keys.add('tricky', 'server')}"}
    given = [one for one in routes(http.app) if "{" in one[1]]
    assert given
    for method, path in given:
        for trick in TRICKS:
            for value in (quote(trick, safe=""), quote(quote(trick, safe=""), safe="")):
                body = {"text": "a"} if "predict" in path else {"items": [{"id": "a"}]}
                answer = http.request(method, filled(path, value), json=body, headers=headers)
                erases = method == "DELETE" and path.startswith(("/v1/customers", "/users"))  # nothing of anybody
                assert answer.status_code in ({200, 404, 405, 422} if erases else {404, 405, 422, 307})
                assert "x-evil" not in answer.headers
                assert "root:" not in answer.text
                assert str(Store().root) not in answer.text


def test_tenants_find_nothing_of_each_other(services: dict[str, tuple[TestClient, Keys]]) -> None:
    http, keys = services["support"]
    ours, theirs = ({"Authorization": f"Bearer {keys.add(tenant, 'server', tenant)}"} for tenant in ("a", "b"))
    made = http.post("/v1/conversations", json={"customer": "c"}, headers=ours).json()["id"]
    for method, path in routes(http.app):
        if "conversations/{id}" in path or "inbox/{id}" in path:
            body = {"text": "hi", "agent": "Ana", "good": True}
            answer = http.request(method, path.replace("{id}", made), json=body, headers=theirs)
            assert (answer.status_code, path) in {(404, path), (409, path)}
            assert made not in answer.text or answer.status_code == 404
    assert http.delete("/v1/customers/c", headers=theirs).json() == {"conversations": 0}
    assert http.get(f"/v1/conversations/{made}", headers=ours).status_code == 200


def test_a_key_of_another_tenant_finds_no_news(services: dict[str, tuple[TestClient, Keys]]) -> None:
    http, keys = services["news"]
    ours, theirs = (
        {"Authorization": f"Bearer {keys.add(f'news of {tenant}', 'server', tenant)}"} for tenant in ("default", "b")
    )
    silence = {"key": "*", "hours": 1}
    asked = [one for one in routes(http.app) if one[1].startswith("/v1")]
    assert ("POST", "/v1/silences") in asked
    for method, path in asked:
        answer = http.request(method, filled(path, "0" * 16), json=silence, headers=theirs)
        assert (answer.status_code, method, path) == (404, method, path)
    assert http.get("/v1/silences", headers=ours).json() == []
    assert http.get("/metrics", headers=theirs | {"Host": "keel.example"}).status_code == 404
    assert http.post("/v1/silences", json=silence, headers=ours).status_code == 201


class Signer:
    """Whoever pushes signed news."""

    def __init__(self, http: TestClient, key: str) -> None:
        self.http, self.key = http, key

    def push(
        self, body: bytes, message: str, *, late: int = 0, signed: bytes | None = None, secret: bytes = SECRET
    ) -> int:
        stamp = str(int(time.time()) - late)
        headers = {
            "Authorization": f"Bearer {self.key}",
            "webhook-id": message,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(b'other').decode()} "
            + signature(secret, message, stamp, body if signed is None else signed),
        }
        return self.http.post("/v1/items", content=body, headers=headers).status_code


def test_pushed_news_that_is_tampered_with_late_or_replayed_is_refused(
    services: dict[str, tuple[TestClient, Keys]],
) -> None:
    http, keys = services["news"]
    sender = Signer(http, keys.add("wire", "server"))
    item = json.dumps({"id": "1", "title": "t", "published": "2026-03-02T00:00:00Z"}).encode()
    assert http.post("/v1/items", content=item, headers={"Authorization": f"Bearer {sender.key}"}).status_code == 401
    assert sender.push(item, "m1", signed=item.replace(b"t", b"u")) == 401
    assert sender.push(item, "m1", secret=b"another") == 401
    assert sender.push(item, "m1", late=301) == sender.push(item, "m1", late=-301) == 401
    assert sender.push(item, "m1") == 202
    assert sender.push(item, "m1") == sender.push(item, "m1", late=200) == 409
    assert sender.push(item, "m2") == 202


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return Path.touch, (self.place,)


@pytest.fixture
def bomb(tmp_path: Path) -> Iterator[Bomb]:
    found = Bomb(tmp_path / "it ran")
    pickle.loads(pickle.dumps(found))
    assert found.place.exists(), "it does run where it is read"
    found.place.unlink()
    yield found
    assert not found.place.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pkl", "model.pt"])
def test_a_stored_pickle_is_not_read(versions: tuple[Version, Version], bomb: Bomb, name: str) -> None:
    store = Store()
    store.promote(stored(store, versions[0], **{name: pickle.dumps(bomb)}))
    champions = Champions()
    for ask in (load, champions.get):
        with pytest.raises(StoreError, match="may run code"):
            ask("toy")  # type: ignore[operator]


def test_numpys_objects_are_not_read(tmp_path: Path, bomb: Bomb) -> None:
    held = np.array([bomb], dtype=object)
    (tmp_path / ROWS).write_text('{"question": "a", "article": "b"}\n', encoding="utf-8")
    np.save(tmp_path / VECTORS, held, allow_pickle=True)
    np.savez(tmp_path / "popularity.npz", counts=held, allow_pickle=True)
    for read in (Past.load, popularity.Popularity.load):
        with pytest.raises((ValueError, KeyError, TypeError, KeelError)):
            read(tmp_path)


def test_a_monitors_state_holds_data_and_nothing_that_runs(bomb: Bomb) -> None:
    hidden = b"\x80\x04\x8c\x1dapps.finance_monitor.journal\x8c\x0cpickle.loads\x93."
    for state in (pickle.dumps(bomb), hidden.replace(b"\x8c\x1d", b"\x8c\x1c")):
        with pytest.raises(pickle.UnpicklingError, match="a state holds no"):
            journal._Loader(io.BytesIO(state)).load()


@pytest.mark.parametrize(
    "read",
    [Recipe.load, watchfile.read, Mapping.load, Settings.read],
    ids=["recipe", "companies", "mapping", "settings"],
)
def test_yaml_that_would_run_code_is_refused(tmp_path: Path, bomb: Bomb, read: Callable[[Any], Any]) -> None:
    file = tmp_path / "given.yaml"
    file.write_text(f"- !!python/object/apply:pathlib.Path.touch [{bomb.place}]\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"given\.yaml"):
        read(str(file) if read == Recipe.load else file)
