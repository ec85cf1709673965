"""The house of a home without any model: all answers, and says what is missing and which command makes it."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from apps.console.house import House
from apps.console.names import App
from apps.console.pages.overview import _figures
from apps.console.parts import part, support
from apps.finance_monitor.signed import ITEMS_SECRET
from apps.finance_monitor.sinks.webhook import signature
from engine.errors import InputError

WAIT_S = 20.0


def test_what_is_missing_is_named_with_its_command_and_the_rest_answers(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "RETRY_S", 0.02)
    house = House(f"sqlite:///{home}/keel.db")
    with TestClient(house.app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)) as client:
        end = time.monotonic() + WAIT_S
        while {one.state for one in house.parts} != {"missing"}:
            assert time.monotonic() < end
            time.sleep(0.01)
        notes = {one.name: one.note for one in house.parts}
        assert "run: support-bot ingest" in notes["customer_service"]
        assert "run: finance-monitor train" in notes["finance_monitor"]
        assert "run: recommender train" in notes["recommender"]
        for path in ("", "/support", "/news", "/recommend"):
            assert client.get(f"{path}/healthz").json() == {"status": "ok"}
        assert client.get("/recommend/models").json() == []
        begun = client.post("/support/v1/conversations", json={})
        assert begun.status_code == 401, "the bot's API takes a key from everybody"
        item = {"id": "n1", "published": "2026-03-02T00:00:00Z", "title": "Kept until the monitor reads it"}
        assert client.post("/news/v1/items", json=item).json()[0]["status"] == "accepted"
        assert client.get("/news", follow_redirects=False).headers["location"] == "/news/"
        assert "page.js" in client.get("/news/").text
        assert client.get("/console.css").headers["content-type"].startswith("text/css")


def test_one_application_is_served_apart(home: Path) -> None:
    house = House(f"sqlite:///{home}/keel.db", apps=[App.RECOMMENDER])
    assert [one.name for one in house.parts] == ["recommender"]
    with TestClient(house.app) as client:
        assert client.get("/recommend/healthz").is_success
        assert client.get("/news/healthz").status_code == 404


def test_its_bots_count_what_they_are_asked_where_the_house_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def ready(*options: Any) -> Any:
        given.append(options[-1])
        raise InputError("no articles")

    monkeypatch.setattr(support, "ready", ready)
    house = House(f"sqlite:///{home}/keel.db", apps=[App.CUSTOMER_SERVICE])
    with TestClient(house.app):
        end = time.monotonic() + WAIT_S
        while not given:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert given[0] is house.watch


def test_a_feed_that_is_none_is_refused_at_once(home: Path) -> None:
    with pytest.raises(InputError):
        House(f"sqlite:///{home}/keel.db", apps=[App.FINANCE_MONITOR], feeds=["redis://"])


def test_its_news_is_signed_where_a_secret_is_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ITEMS_SECRET, f"whsec_{base64.b64encode(b'of both sides').decode()}")
    house = House(f"sqlite:///{home}/keel.db", apps=[App.FINANCE_MONITOR])
    item = json.dumps({"id": "n1", "published": "2026-03-02T00:00:00Z", "title": "Signed"}).encode()
    stamp = str(int(time.time()))
    signed = {"webhook-id": "m1", "webhook-timestamp": stamp}
    signed["webhook-signature"] = signature(b"of both sides", "m1", stamp, item)
    with TestClient(house.app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)) as client:
        assert client.post("/news/v1/items", content=item).status_code == 401
        assert client.post("/news/v1/items", content=item, headers=signed).status_code == 202
    monkeypatch.setenv(ITEMS_SECRET, "no base64")
    with pytest.raises(InputError, match=ITEMS_SECRET):
        House(f"sqlite:///{home}/keel.db", apps=[App.FINANCE_MONITOR])


def test_its_news_is_one_tenants(home: Path) -> None:
    house = House(f"sqlite:///{home}/keel.db", apps=[App.FINANCE_MONITOR])
    with TestClient(house.app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)) as client:
        for tenant, status in (("default", 200), ("acme", 404)):
            key = house.keys.add(tenant, "server", tenant)
            headers = {"Authorization": f"Bearer {key}"}
            assert client.get("/news/v1/alerts", headers=headers).status_code == status
            assert client.post("/login", data={"key": key}, follow_redirects=False).status_code == 303
            assert client.get("/news/v1/silences").status_code == status, "a session is worth what its key is"
            visit: Any = SimpleNamespace(house=house, caller=house.keys.caller(key))
            assert ("firing" in [name for name, *_ in _figures(visit)]) == (status == 200)
