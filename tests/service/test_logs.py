"""What a service says of its requests: lines of JSON and spans, with no text and no secret in them."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from engine import Version
from engine.errors import InputError
from engine.service import Champions, Keys, Queue, api, create, logs, telemetry

SECRET = "keel_server_in-the-query"
TEXT = "Write to ann@example.com about the fine"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, keel = logging.getLogger(), logging.getLogger("keel")
    before = root.handlers[:], root.level, keel.level
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    root.handlers[:], root.level, keel.level = before


@pytest.fixture
def http(home: Path, versions: tuple[Version, Version]) -> Iterator[TestClient]:
    database, queue = api.opened(None), Queue(1)
    app = api.application(database, Champions(), queue=queue, per_minute=1000)

    @app.get("/broken/{id}")
    def broken(id: str) -> None:
        raise RuntimeError("it broke")

    headers = {"Authorization": f"Bearer {Keys(database).add('shop', 'server', 'acme')}"}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as client:
        yield client
    queue.close()
    database.close()


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    logs.flush()
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_line_tells_of_a_request_and_holds_no_text(http: TestClient, log: io.StringIO) -> None:
    answer = http.post("/v1/predict/toy", json={"text": TEXT}, params={"key": SECRET})
    assert http.get("/metrics", headers={"Authorization": f"Bearer {SECRET}"}).status_code == 401
    assert http.get(f"/broken/{SECRET}", params={"key": SECRET}).status_code == 500
    first, second, fault = lines(log)
    assert first.pop("ms") > 0
    assert first.pop("time").endswith("Z")
    assert list(first) == ["level", "event", "id", "method", "route", "status", "caller", "tenant", "model"]
    assert first == {
        "level": "info",
        "event": "request",
        "id": answer.headers["x-request-id"],
        "method": "POST",
        "route": "/v1/predict/{model}",
        "status": 200,
        "caller": "shop",
        "tenant": "acme",
        "model": "toy@1",
    }
    assert (second["status"], second["route"], "caller" in second) == (401, "/metrics", False)
    assert fault["event"].endswith("at GET /broken/{id}")
    assert fault["exception"][0]["exc_value"] == "it broke"
    for unwanted in (SECRET, "ann@", "fine"):
        assert unwanted not in log.getvalue()


def test_texts_are_logged_where_that_is_wished_for_and_masked(
    http: TestClient, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(logs.TEXTS, "1")
    http.post("/v1/predict/toy", json={"texts": [TEXT, ["a", "b@example.com"]]})
    assert lines(log)[0]["texts"] == ["Write to [EMAIL] about the fine", ["a", "[EMAIL]"]]


def test_spans_of_a_request_and_its_inference_are_one_trace(http: TestClient) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.configure(provider)
    try:
        traced = f"00-{'ab' * 16}-{'cd' * 8}-01"
        http.post("/v1/predict/toy?key=" + SECRET, json={"text": TEXT}, headers={"traceparent": traced})
    finally:
        telemetry.configure()
    inference, request = exporter.get_finished_spans()
    assert (inference.name, request.name) == ("inference", "POST /v1/predict/{model}")
    assert request.context.trace_id == int("ab" * 16, 16)
    assert inference.parent == request.context
    assert dict(inference.attributes or {}) == {"model": "toy@1", "backend": "torch"}
    told = {"http.request.method": "POST", "http.route": "/v1/predict/{model}", "http.response.status_code": 200}
    assert dict(request.attributes or {}) == told
    assert SECRET not in exporter.get_finished_spans()[1].to_json()


def test_a_collector_without_the_extra_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(telemetry.ASKED[0], "http://127.0.0.1:9")
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(InputError, match="extra otel"):
        telemetry.configure()


def test_a_record_and_a_writing_do_not_wait_for_each_other(log: io.StringIO) -> None:
    writing = threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            writing.set()
            time.sleep(0.3)  # another thread hands the handler a record meanwhile
            return super().write(text)

    logs.configure(slow := Slow())
    logs.told(id="a")
    writer = threading.Thread(target=logs.flush, daemon=True)
    speaker = threading.Thread(target=logging.getLogger("keel.test").info, args=("promoted",), daemon=True)
    writer.start()
    assert writing.wait(10)
    speaker.start()
    for thread in (writer, speaker):
        thread.join(10)
        assert not thread.is_alive()
    assert [line.get("id", line["event"]) for line in lines(slow)] == ["a", "promoted"]


def test_an_application_in_another_is_told_of_once(home: Path, log: io.StringIO) -> None:
    database, queue = api.opened(None), Queue(1)
    outer = create("outer", Keys(database), queue=queue)
    inner: FastAPI = create("inner", Keys(database), queue=queue)

    @inner.get("/thing/{id}")
    def thing(id: str) -> None: ...

    outer.mount("/in", inner)
    with TestClient(outer) as http:
        answer = http.get("/in/thing/1")
        assert answer.status_code == 200
    (line,) = lines(log)
    assert (line["route"], line["id"]) == ("/in/thing/{id}", answer.headers["x-request-id"])
    assert len(answer.headers.get_list("x-request-id")) == 1
    queue.close()
    database.close()
