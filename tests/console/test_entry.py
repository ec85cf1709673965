"""The applications in the house: a session at the console opens what its key opens, in pages of this origin alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from apps import customer_service, finance_monitor, recommender
from apps.console.house import House
from tests.service.test_security import OPEN, filled, pages, routes

HERE = "http://127.0.0.1:8000"
OWN = {"origin": HERE, "sec-fetch-site": "same-origin"}
ELSEWHERE = (
    {"origin": "http://evil.example", "sec-fetch-site": "cross-site"},
    {"origin": "http://127.0.0.1:9999", "sec-fetch-site": "same-site"},
    {"sec-fetch-site": "same-site"},  # an image, or a form of another port
    {"sec-fetch-site": "cross-site"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "null"},
)
STREAM = "/news/v1/events"


@pytest.fixture
def house(home: Path) -> Iterator[House]:
    house = House(f"sqlite:///{home}/keel.db", per_minute=100_000)
    yield house
    house.queue.close()
    house.database.close()


@pytest.fixture
def client(house: House) -> TestClient:
    """Its lifespan does not run: nothing is loaded."""
    return TestClient(house.app, base_url=HERE, client=("127.0.0.1", 5000), raise_server_exceptions=False)


def _taking_keys(house: House) -> list[tuple[str, str]]:
    """Method and path of every route of the applications that takes a key."""
    files = set().union(*map(pages, (customer_service, finance_monitor, recommender)))
    found = [
        (method, part.path + filled(path, "0" * 32))
        for part in house.parts
        for method, path in routes(part.app)
        if path not in OPEN | files and path != "/metrics"  # which this machine may read
    ]
    assert len({path.split("/")[1] for _, path in found}) == 3
    return found


def _enter(client: TestClient, key: str) -> None:
    assert client.post("/login", data={"key": key}, headers=OWN, follow_redirects=False).status_code == 303


def test_no_route_is_open_without_a_session_nor_to_pages_of_others_in_one(house: House, client: TestClient) -> None:
    key = house.keys.add("desk", "server")
    asked = _taking_keys(house)
    for method, path in asked:
        assert (client.request(method, path, headers=OWN).status_code, path) == (401, path)
    _enter(client, key)
    for method, path in asked:
        for headers in ELSEWHERE:
            assert (client.request(method, path, headers=headers).status_code, path) == (401, path)
        if method != "GET":
            assert client.request(method, path).status_code == 401, "nobody says whose page this was"
        guessed = {**OWN, "authorization": "Bearer keel_server_guessed"}
        assert client.request(method, path, headers=guessed).status_code == 401, "a wrong key is not made good"


def test_a_session_opens_every_route_that_its_key_opens_and_ends_with_it(house: House, client: TestClient) -> None:
    _enter(client, house.keys.add("desk", "server"))
    asked = [one for one in _taking_keys(house) if one[1] != STREAM]
    for method, path in asked:
        status = client.request(method, path, headers=OWN).status_code
        assert (status in (401, 403) or status >= 500, path) == (False, path)
    assert client.get("/news/v1/alerts").json() == [], "browsers of old name no page where nothing is changed"
    house.keys.add("another", "server")
    house.keys.revoke("desk")
    assert {client.request(method, path, headers=OWN).status_code for method, path in asked} == {401}


def test_a_session_is_no_more_than_its_key(house: House, client: TestClient) -> None:
    _enter(client, house.keys.add("narrow", "server", scopes=["recommender"]))
    assert client.get("/news/v1/alerts", headers=OWN).status_code == 403
    assert client.get("/recommend/models", headers=OWN).status_code == 200
    _enter(client, house.keys.add("desk", "agent"))
    item = {"id": "n1", "published": "2026-03-02T00:00:00Z", "title": "Profit falls"}
    assert client.post("/news/v1/items", json=item, headers=OWN).status_code == 403
    _enter(client, house.keys.add("ours", "server", "a"))
    made = client.post("/support/v1/conversations", json={}, headers=OWN).json()["id"]
    assert client.get(f"/support/v1/conversations/{made}", headers=OWN).status_code == 200
    _enter(client, house.keys.add("theirs", "server", "b"))
    assert client.get(f"/support/v1/conversations/{made}", headers=OWN).status_code == 404


def test_the_pages_hold_no_key(house: House, client: TestClient) -> None:
    key = house.keys.add("desk", "server")
    paths = [f"{part}/{name}" for part in ("/news", "/recommend") for name in ("", "page.js")]
    without = [client.get(path).content for path in paths]
    _enter(client, key)
    assert [client.get(path, headers=OWN).content for path in paths] == without
