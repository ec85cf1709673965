"""Who stands for what an agent teaches over HTTP: the key that was checked, and the name that it gives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastapi.testclient import TestClient

from apps.customer_service import api
from engine.data.rows import Row
from engine.db import Database
from engine.feedback import vet
from engine.feedback.labelling import labelled
from engine.service import Keys, Queue

COLOURS = ["pink", "red", "blue", "grey", "green", "brown"]
AGENTS = ["ana", "bo", "cy"]


def bot(_: str) -> Any:
    return SimpleNamespace(models=SimpleNamespace(intents_name="support-intents@1"), stale=lambda: False)


def test_agents_of_one_key_are_told_apart_and_make_no_new_intent_of_their_own(database: Database) -> None:
    queue, keys = Queue(1), Keys(database)
    app, desks = api.application(database, bot, per_minute=10_000, queue=queue)
    talks, http = desks.conversations("default"), TestClient(app)
    headers = {"Authorization": f"Bearer {keys.add('desk', 'agent')}"}
    for number, colour in enumerate(COLOURS):
        id, agent = talks.open(consent=True), AGENTS[number % len(AGENTS)]
        talks.happen(id, "customer_speaks", text=f"my phone app shows {colour} pictures")
        talks.happen(id, "ask")
        for path, body in (("take", {}), ("messages", {"text": "I see.", "intent": "app"})):
            answer = http.post(f"/v1/inbox/{id}/{path}", json={"agent": agent, **body}, headers=headers)
            assert answer.status_code == 200, answer.text
    told = talks.feedback.read(kind="correction")
    assert {one.rater for one in told} == {f"desk/{name}" for name in AGENTS}
    assert len(told) == len(COLOURS)
    # Ana labels for training, by a key of her own: whoever else calls themselves so is not her.
    label = labelled(told[0], {"intent": "late"}, rater="ana", app="console")
    known = [Row(f"{word} transfer {n}", {"intent": word}, None, "") for word in ("cheap", "late") for n in range(20)]
    for rows in (told, [label, *told]):
        assert not any(row["intent"] == "app" for row in vet(rows, known=known).rows)
    queue.close()
