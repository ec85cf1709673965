"""The house of a home without any model: all answers, and says what is missing and which command makes it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from apps.console.house import House
from apps.console.names import App
from apps.console.parts import part, support
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
