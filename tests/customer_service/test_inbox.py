"""Between customer and agents over HTTP: asking for a person, thinking better of it, taking, taking over."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from apps.customer_service import api
from apps.customer_service.phrases import PHRASES
from engine.db import Database
from engine.service import Keys, Queue

ORIGIN = "https://shop.example"


class House:
    """The service, a customer in a page of the shop, and the agents' desk. The bot is asked nothing here."""

    def __init__(self, database: Database, queue: Queue) -> None:
        keys, idle = Keys(database), SimpleNamespace(models=SimpleNamespace(intents_name=None), stale=lambda: False)
        app, self.desks = api.application(database, lambda _: idle, per_minute=10_000, queue=queue)  # type: ignore[arg-type, return-value]
        self._http = TestClient(app)
        widget, agent = keys.add("shop", "widget", origins=[ORIGIN]), keys.add("desk", "agent")
        self._headers = {
            "customer": {"Authorization": f"Bearer {widget}", "Origin": ORIGIN},
            "agent": {"Authorization": f"Bearer {agent}"},
        }

    def post(self, who: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        answer = self._http.post(f"/v1{path}", json=body, headers=self._headers[who])
        return answer.status_code, answer.json()

    def waiting(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._http.get("/v1/inbox", headers=self._headers["agent"]).json()
        return found


@pytest.fixture
def house(database: Database) -> Iterator[House]:
    queue = Queue(1)
    yield House(database, queue)
    queue.close()


def test_a_customer_who_waits_may_go_back_to_the_bot(house: House) -> None:
    id = house.post("customer", "/conversations", {})[1]["id"]
    assert house.post("customer", f"/conversations/{id}/human")[1]["side"] == "waiting"  # a body is not needed
    assert [one["id"] for one in house.waiting()] == [id]
    status, said = house.post("customer", f"/conversations/{id}/bot")
    assert (status, said["side"], said["turns"][0]["text"]) == (200, "bot", PHRASES["en"]["withdrawn"])
    assert house.waiting() == []
    assert house.post("agent", f"/inbox/{id}/take", {"agent": "Ana"})[0] == 409
    assert house.post("customer", f"/conversations/{id}/bot")[1]["turns"] == []
    house.post("customer", f"/conversations/{id}/human")
    house.post("agent", f"/inbox/{id}/take", {"agent": "Ana"})
    assert house.post("customer", f"/conversations/{id}/bot")[0] == 409, "Ana is there"


def test_the_agents_answer_is_the_only_one_and_the_page_tells_the_language(house: House) -> None:
    id = house.post("customer", "/conversations", {})[1]["id"]
    said = house.post("customer", f"/conversations/{id}/human", {"lang": "zh"})[1]
    assert said["turns"][0]["text"] == PHRASES["zh"]["handed_over"]
    said = house.post("customer", f"/conversations/{id}/messages", {"text": "还在吗？\x00"})[1]
    assert [(one["role"], one["text"]) for one in said["turns"]] == [("customer", "还在吗？")]
    house.post("agent", f"/inbox/{id}/take", {"agent": "Ana"})
    assert (
        house.post("customer", f"/conversations/{id}/messages", {"text": "喂？"})[1]["turns"][0]["role"] == "customer"
    )
    assert house.post("customer", f"/conversations/{id}/human", {"lang": "ru"})[0] == 422


def test_a_colleague_takes_over_from_an_agent_who_is_gone(house: House) -> None:
    id = house.post("customer", "/conversations", {})[1]["id"]
    house.post("customer", f"/conversations/{id}/human")
    house.post("agent", f"/inbox/{id}/take", {"agent": "Ana"})
    status, problem = house.post("agent", f"/inbox/{id}/take", {"agent": "Bo"})
    assert (status, "take it over" in problem["detail"]) == (409, True)
    assert house.post("agent", f"/inbox/{id}/take", {"agent": "Bo", "force": True})[1]["agent"] == "Bo"
    assert house.post("agent", f"/inbox/{id}/messages", {"agent": "Bo", "text": "Hello"})[0] == 200
    assert house.post("agent", f"/inbox/{id}/give_back", {"agent": "Ana"})[0] == 409


@pytest.mark.parametrize(
    ("who", "path", "body"),
    [
        ("agent", "/conversations", {"customer": "c\x00"}),
        ("agent", "/inbox/{id}/take", {"agent": "a\x00"}),
        ("agent", "/inbox/{id}/messages", {"agent": "a\x00", "text": "x"}),
    ],
)
def test_names_hold_no_character_that_postgresql_does_not_store(
    house: House, who: str, path: str, body: dict[str, Any]
) -> None:
    id = house.post("customer", "/conversations", {})[1]["id"]
    assert house.post(who, path.format(id=id), body)[0] == 422
