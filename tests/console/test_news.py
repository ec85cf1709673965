"""The house's news: signed where a secret is set, and one tenant's."""

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
from apps.finance_monitor.signed import ITEMS_SECRET
from apps.finance_monitor.sinks.webhook import signature
from engine.errors import InputError


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
