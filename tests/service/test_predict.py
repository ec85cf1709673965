"""Stored models over HTTP: the answers of the Predictor to the byte, and promotion and rollback while clients ask."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from engine import Store, Version, load
from engine.errors import InputError, StoreError
from engine.service import Champions, Keys, Queue, api
from tests.service.conftest import stored

TEXTS = ["Profit fell 12%", "The bank fined again", "利润大增", "", "Shares rose\u2028after the call " * 60]
WAIT_S = 30.0


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def champions(versions: tuple[Version, Version]) -> Iterator[Champions]:
    found = Champions(wanted=["toy"], every_s=0.02)
    found.start()
    yield found
    found.close()


@pytest.fixture
def http(champions: Champions, home: Path) -> Iterator[TestClient]:
    database, queue = api.opened(None), Queue(2)
    app = api.application(database, champions, queue=queue, per_minute=100_000)
    headers = {"Authorization": f"Bearer {Keys(database).add('asker', 'server')}"}
    with TestClient(app, headers=headers) as client:
        yield client
    queue.close()
    database.close()


def said(text: str | list[str], reference: str = "toy") -> bytes:
    """What the service is to answer, by the Predictor alone."""
    predictor = load(reference)
    answers = [json.dumps(one.as_dict(), ensure_ascii=False) for one in predictor.predict(text)]
    names = json.dumps({"model": predictor.model, "backend": predictor.backend})[1:]
    told = f'"answers": [{", ".join(answers)}]' if isinstance(text, list) else f'"answer": {answers[0]}'
    return f"{{{told}, {names}".encode()


def test_answers_are_the_predictors_to_the_byte(http: TestClient) -> None:
    many = [f"{text} {number}" for number in range(9) for text in TEXTS]
    assert http.post("/v1/predict/toy", json={"texts": many}).content == said(many)
    assert http.post("/v1/predict/toy@2", json={"texts": TEXTS}).content == said(TEXTS, "toy@2")
    one = http.post("/v1/predict/toy", json={"text": TEXTS[0], "head": "sentiment"}).json()
    assert one["answer"] == json.loads(said(TEXTS))["answers"][0]
    assert (one["model"], one["backend"]) == ("toy@1", "torch")
    assert sum(one["answer"]["sentiment"]["probabilities"].values()) == pytest.approx(1)


def test_what_is_no_question_is_refused(http: TestClient) -> None:
    def refused(model: str = "toy", **body: Any) -> tuple[int, str]:
        answer = http.post(f"/v1/predict/{model}", json=body)
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code, answer.json()["detail"]

    assert refused() == (422, "body: Value error, give text or texts, one of the two")
    assert refused(text="a", texts=["a"])[0] == refused(texts=[])[0] == refused(texts=["a"] * 257)[0] == 422
    assert refused(text="a" * 20_001)[0] == refused(texts=[["a", "b", "c"]])[0] == 422
    assert refused(text="a", head="mood") == (422, "head 'mood': toy@1 has sentiment")
    for unknown in ("nobody", "toy@9", "toy@nobody", "Toy"):
        status, detail = refused(unknown, text="a")
        assert (status, detail) == (404, f"no model of texts is {unknown!r} here")


def test_pages_of_other_sites_are_answered_alike_by_the_longer_way(http: TestClient) -> None:
    """And the faults, but for what tells a page that it may read them."""
    page = {"Origin": "https://shop.example"}
    asked = {"text": TEXTS[0]}
    for model, body in (("toy", asked), ("toy", {}), ("nobody", asked), ("n" * 201, asked)):
        here, there = (http.post(f"/v1/predict/{model}", json=body, headers=more) for more in ({}, page))
        assert there.headers["access-control-allow-origin"] == "*"
        if len(model) > 200:  # the longer way names the field
            assert (here.status_code, there.status_code) == (404, 422)
        else:
            assert (here.status_code, here.content) == (there.status_code, there.content)
    assert http.post("/v1/predict/toy", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert http.get("/v1/predict/toy").status_code == 405
    counted = http.get("/metrics").text
    assert 'keel_requests_total{method="POST",route="/v1/predict/{model}",status="200"} 2.0' in counted


def test_a_bundle_is_no_model_of_texts(http: TestClient, home: Path) -> None:
    store = Store()
    with store.staging("bundle") as place:
        (place / "bundle.json").write_text("{}", encoding="utf-8")
        store.promote(store.commit("bundle", place, {}))
    assert http.post("/v1/predict/bundle", json={"text": "a"}).status_code == 404


def test_promotion_and_rollback_lose_no_request_and_come_back_to_the_byte(
    http: TestClient, champions: Champions, versions: tuple[Version, Version]
) -> None:
    store, answers, ended = Store(), [], threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers.append(http.post("/v1/predict/toy", json={"texts": TEXTS}))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    until(lambda: len(answers) > 8)
    store.promote(versions[1])
    until(lambda: champions.get("toy").model == "toy@2")
    heard = len(answers)
    until(lambda: len(answers) > heard + 8)
    store.rollback("toy")
    until(lambda: champions.get("toy").model == "toy@1")
    heard = len(answers)
    until(lambda: len(answers) > heard + 8)
    ended.set()
    for client in clients:
        client.join()
    assert {one.status_code for one in answers} == {200}
    assert {one.content for one in answers} == {said(TEXTS, "toy@1"), said(TEXTS, "toy@2")}
    assert answers[-1].content == answers[0].content


@pytest.mark.parametrize("harm", ["changed", "missing", "unloadable"])
def test_a_broken_version_is_refused_and_the_old_one_answers_on(
    harm: str, http: TestClient, champions: Champions, versions: tuple[Version, Version], caplog: Any
) -> None:
    store, broken = Store(), versions[1]
    assert http.post("/v1/predict/toy", json={"text": "a"}).json()["model"] == "toy@1"
    if harm == "changed":
        with (broken.folder / "calibration.json").open("a", encoding="utf-8") as file:
            file.write(" ")
    elif harm == "missing":
        (broken.folder / "model" / "tokenizer.json").unlink()
    else:
        broken = stored(store, versions[0], **{"heads.json": b"{}"})
    with caplog.at_level(logging.ERROR, "keel.service"):
        store.promote(broken)
        until(lambda: "refused" in http.get("/readyz").text)
    answer = http.get("/readyz")
    details = {"toy": f"toy@1 answers; {broken} is refused: see the log"}
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "details": details})
    told = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert told[0].startswith(f"{broken} is not taken, toy@1 answers on: ")
    assert http.post("/v1/predict/toy", json={"text": "a"}).json()["model"] == "toy@1"
    assert http.post(f"/v1/predict/{broken}", json={"text": "a"}).status_code == 503
    store.rollback("toy")
    until(lambda: http.get("/readyz").json()["details"]["toy"] == "toy@1 answers")


def test_readiness_waits_for_the_models(home: Path, trained_toy: Version) -> None:
    champions = Champions(wanted=["toy"], every_s=0.02)
    champions.start()
    try:
        assert not champions.readiness().ready
        with pytest.raises(InputError):
            champions.get("toy")
        Store().promote(stored(Store(), trained_toy))
        until(lambda: champions.readiness().ready)
    finally:
        champions.close()


def test_the_model_asked_for_longest_ago_makes_room(versions: tuple[Version, Version], trained_toy: Version) -> None:
    champions = Champions(wanted=["toy"], most=2, every_s=0.02)
    champions.start()
    try:
        until(lambda: champions.held("toy"))
        assert champions.get("toy@1") is champions.get("toy")  # one version is loaded once
        champions.get("toy@2")
        assert (champions.held("toy@1"), champions.held("toy") is not None) == (None, True)
        stored(Store(), trained_toy, **{"heads.json": b"{}"})
        for _ in range(2):
            with pytest.raises(StoreError, match="does not load"):
                champions.get("toy@3")
    finally:
        champions.close()
