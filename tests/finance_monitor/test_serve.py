"""The monitor over HTTP: what is pushed is kept, read once and told live, on a real server with a toy labeller."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from inspect import signature
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from apps.finance_monitor import tables, undelivered
from apps.finance_monitor.api import application
from apps.finance_monitor.cli import follow_feed
from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.feeds.pushed import Pushed
from apps.finance_monitor.inbox import Inbox
from apps.finance_monitor.items import DeadLetter, NewsItem
from apps.finance_monitor.mapping import Mapping
from apps.finance_monitor.run import monitor
from apps.finance_monitor.serve import Service
from apps.finance_monitor.serve_cli import serve
from engine.db import Database
from engine.errors import InputError
from engine.feedback import FeedbackLog
from engine.service import Keys, Queue
from tests.finance_monitor.words import models
from tests.services import free_port

START = datetime(2026, 3, 2, tzinfo=UTC)
WAIT_S = 30.0
CYBER = {"key": "topic:cyber"}


def item(number: int, minutes: float, title: str) -> dict[str, str]:
    return {"id": f"n{number}", "published": (START + timedelta(minutes=minutes)).isoformat(), "title": title}


def usual(count: int) -> list[dict[str, str]]:
    return [item(number, 12 * number, f"usual report {number} of the day") for number in range(count)]


def surge(after: int) -> list[dict[str, str]]:
    return [item(after + n, 12 * after + 3 * n, f"attack {n} on the firm") for n in range(20)]


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextmanager
def running(state: str, **options: Any) -> Iterator[httpx.Client]:
    port = free_port()
    service = Service(state, models(), port=port, per_minute=100_000, **options)
    thread = threading.Thread(target=service.run)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S) as client:
        until(lambda: _answers(client))
        try:
            yield client
        finally:
            service.end()
            thread.join(WAIT_S)
            assert not thread.is_alive()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.TransportError:
        return False


def events(client: httpx.Client, last: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and data of the stream, after its greeting."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with client.stream("GET", "/v1/events", headers=headers) as answer:
        name = ""
        for line in answer.iter_lines():
            if line.startswith(":"):
                yield "alive", {}
            elif line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def test_pushed_news_is_told_live_charted_silenced_and_counted_once(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text("".join(json.dumps(one) + "\n" for one in usual(200)), encoding="utf-8")
    with running(str(tmp_path / "monitor.db"), feeds=[File(str(feed), follow=True)]) as client:
        until(lambda: client.get("/v1/status").json()["items"] >= 190)
        heard = events(client)
        assert next(heard) == ("alive", {})
        pushed = surge(200)
        verdicts = client.post("/v1/items", json=[*pushed, {"id": "x", "title": "no time"}])
        assert verdicts.status_code == 202
        assert [one["status"] for one in verdicts.json()] == ["accepted"] * 20 + ["dead letter"]
        assert "field 'published'" in verdicts.json()[-1]["reason"]
        told = next(data for name, data in heard if name == "change")
        assert (told["key"], told["status"], told["silence"]) == ({"type": "topic", "value": "cyber"}, "firing", None)
        assert "attack" in told["evidence"][0]["title"]
        heard.close()
        assert next(data for name, data in events(client, told["change"] - 1) if name == "change") == told

        until(lambda: client.get("/v1/status").json()["items"] == 218)
        (alert,) = client.get("/v1/alerts", params={"status": "firing", **CYBER}).json()
        assert alert["id"] == told["id"]
        assert client.get(f"/v1/alerts/{alert['id']}").json()[0] == told
        assert client.get("/v1/alerts", params={"key": "topic:earnings"}).json() == []
        assert client.get("/v1/alerts", params={"since": "2027-01-01T00:00:00Z"}).json() == []
        series = client.get("/v1/series", params={**CYBER, "hours": 12, "every": "60"}).json()
        assert len(series["times"]) == len(series["series"][0]["negative"]) == 12
        assert sum(series["series"][0]["negative"]) >= 10
        busiest = client.get("/v1/keys").json()
        assert {"type": "topic", "value": "cyber"} in [one["key"] for one in busiest]

        made = client.post("/v1/silences", json={**CYBER, "hours": 2, "reason": "known"}).json()
        assert client.get("/v1/alerts", params=CYBER).json()[0]["silence"] == made["id"]
        assert [one["id"] for one in client.get("/v1/silences").json()] == [made["id"]]
        assert client.delete(f"/v1/silences/{made['id']}").status_code == 200
        assert client.get("/v1/alerts", params=CYBER).json()[0]["silence"] is None
        assert client.delete(f"/v1/silences/{made['id']}").status_code == 404

        judged = f"/v1/alerts/{alert['id']}/verdict"
        assert client.post(judged, json={"verdict": "false_alarm", "note": "call a@b.example"}).status_code == 201
        assert client.post(judged, json={}).status_code == 422
        assert client.post("/v1/alerts/0123456789abcdef/verdict", json={"verdict": "right"}).status_code == 404
        first, second = client.get("/v1/items", params={"limit": 2}).json()
        assert [one["id"] for one in (first, second)] == [one["id"] for one in pushed[:-3:-1]]
        assert first["label"] == {"sentiment": "negative", "topics": ["cyber"], "model": alert["model"]["name"]}
        (older,) = client.get("/v1/items", params={"limit": 1, "before": first["number"]}).json()
        assert client.get("/v1/items", params={"before": 2**63}).status_code == 422  # no database counts so far
        assert older == second
        told = {"sentiment": "neutral", "topics": ["earnings"]}
        assert client.post(f"/v1/items/{pushed[0]['id']}/correction", json=told).status_code == 201
        assert client.post("/v1/items/none/correction", json=told).status_code == 404
        assert client.post(f"/v1/items/{pushed[0]['id']}/correction", json={}).status_code == 422
        log = FeedbackLog(tables.opened(str(tmp_path / "monitor.db")))
        verdict, correction = log.read(kind="verdict") + log.read(kind="correction")
        assert (verdict.verdict, verdict.correction, verdict.subject) == (0.0, {"note": "call [EMAIL]"}, alert["id"])
        assert (verdict.app, verdict.said["key"], verdict.rater) == ("finance_monitor", alert["key"], "local")
        assert verdict.text.startswith("attack")
        assert (correction.text, correction.correction, correction.consent) == (pushed[0]["title"], told, True)
        assert correction.said == {"sentiment": {"label": "negative"}, "topics": {"labels": ["cyber"]}}
        log.database.close()

        assert client.post("/v1/items", json=pushed[0]).json()[0]["status"] == "accepted"
        until(lambda: client.get("/v1/status").json()["duplicates"] == 1)
        page = client.get("/metrics").text
        for line in ("keel_news_items_total 218.0", "keel_news_duplicates_total 1.0", "keel_news_late_total 0.0"):
            assert line in page
        for line in (
            "keel_news_dead_letters_total 1.0",
            "keel_news_alerts_firing 1.0",
            "keel_news_inference_seconds_sum",
        ):
            assert line in page
        status = client.get("/v1/status").json()
        assert (status["routes"], status["repeats"]) == ({"model": 218, "cheap": 0, "overload": 0}, 0)
        for line in (
            'keel_news_labelled_total{route="model"} 218.0',
            'keel_news_labelled_total{route="overload"} 0.0',
            "keel_news_repeats_total 0.0",
            f"keel_news_pending_keys {len(status['pending'])}.0",
        ):
            assert line in page
        refused = client.get(f"/v1/alerts/{alert['id']}/explanation")
        assert (refused.status_code, "names no stored model" in refused.json()["detail"]) == (409, True)
        state = tables.opened(str(tmp_path / "monitor.db"))
        until(lambda: not Inbox(state).waiting(0, 1))
        state.close()


def test_what_was_accepted_is_read_at_the_next_start_once(tmp_path: Path) -> None:
    state = str(tmp_path / "monitor.db")
    database = tables.opened(state)
    lines = [json.dumps(one).encode() for one in usual(30)]
    inbox = Inbox(database)
    inbox.put(lines)
    inbox.put(lines[:10])  # sent again, as nobody heard the answer
    assert len(inbox.waiting(0, 100)) == 30
    database.close()
    for _ in range(2):
        with running(state) as client:
            until(lambda: client.get("/v1/status").json()["items"] == 29)  # one waits for those that come late
    with running(state) as client:
        assert client.get("/v1/status").json()["duplicates"] == 0


def test_a_service_whose_monitor_cannot_run_ends_and_says_why(tmp_path: Path) -> None:
    state = str(tmp_path / "monitor.db")
    with running(state), pytest.raises(InputError, match="another monitor is writing it"):
        Service(state, models(), port=free_port()).run()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = tables.opened(str(tmp_path / "monitor.db"))
    yield found
    found.close()


@contextmanager
def asked(database: Database, room: int = 1000, **caller: Any) -> Iterator[TestClient]:
    queue = Queue(1)
    app, _ = application(database, Inbox(database, room=room), queue=queue, per_minute=100_000)
    with TestClient(app, raise_server_exceptions=False, **caller) as client:
        yield client
    queue.close()


HERE: dict[str, Any] = {"base_url": "http://127.0.0.1:8090", "client": ("127.0.0.1", 5)}


def test_this_machine_needs_no_key_until_there_is_one(database: Database) -> None:
    with asked(database, **HERE) as client:
        assert client.get("/v1/alerts").status_code == 200
        assert client.get("/v1/alerts", headers={"Origin": "http://127.0.0.1:8090"}).status_code == 200
        for header in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Authorization": "Bearer no"}):
            assert client.get("/v1/alerts", headers=header).status_code == 401
        keys = Keys(database)
        desk, wire = keys.add("desk", "agent"), keys.add("wire", "server")
        assert client.get("/v1/alerts").status_code == 401
        for key, status in ((desk, 403), (wire, 202)):
            answer = client.post("/v1/items", json=usual(1), headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == status
    with asked(database, client=("192.0.2.1", 5)) as client:
        assert client.get("/v1/keys").status_code == 401
        assert client.get(f"/v1/alerts/{'0' * 16}/explanation").status_code == 401


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (json.dumps(usual(1)[0]), ["accepted"]),
        ("\n".join(map(json.dumps, usual(3))) + "\n\n", ["accepted"] * 3),
        ('{"id": "1", "publ', ["dead letter"]),
        ("[1, null]", ["dead letter"] * 2),
        (json.dumps(item(1, 0, "two")) + "\n\x00\xff", ["accepted", "dead letter"]),
        ('{"id": 1, "title": "t", "published": "0001-01-01T00:00:00+14:00"}', ["dead letter"]),
    ],
)
def test_every_shape_of_body_is_answered_line_by_line(database: Database, body: str, statuses: list[str]) -> None:
    with asked(database, **HERE) as client:
        answer = client.post("/v1/items", content=body.encode("latin-1"))
        assert (answer.status_code, [one["status"] for one in answer.json()]) == (202, statuses)
        assert client.post("/v1/items", content=b" \n").status_code == 422


def test_the_status_tells_what_no_sink_took(database: Database) -> None:
    with asked(database, **HERE) as client:
        assert client.get("/v1/status").json()["given_up"] == {}
        with database.write() as connection:
            undelivered.settle(connection, "desk", 1, "answered 400")
        assert client.get("/v1/status").json()["given_up"] == {"desk": 1}


def test_a_full_inbox_sends_its_senders_away_and_keeps_nothing_of_them(database: Database) -> None:
    with asked(database, room=10, **HERE) as client:
        assert client.post("/v1/items", json=usual(8)).status_code == 202
        refused = client.post("/v1/items", json=usual(11)[8:])
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    assert len(Inbox(database).waiting(0, 100)) == 8


def test_pushed_news_has_a_time_of_receipt_so_that_no_publishers_clock_runs_away(database: Database) -> None:
    inbox = Inbox(database)
    inbox.put([json.dumps({"id": "1", "title": "t", "published": "2099-01-01T00:00:00Z"}).encode()])
    (one,) = inbox.waiting(0, 1)
    assert datetime.fromisoformat(json.loads(one.line)["received"]) <= datetime.now(UTC)


def test_pushed_news_of_another_shape_is_read_by_the_mapping_and_kept_in_keels(database: Database) -> None:
    inbox = Inbox(database, mapping=Mapping.load("ninjs"))
    told = {"uri": "urn:1", "versioncreated": "2099-01-01T00:00:00Z", "headline": "Holden warns", "received": "later"}
    good, bad = inbox.put([json.dumps(told).encode(), json.dumps(usual(1)[0]).encode()])
    assert (good.id, good.status, bad.status) == ("urn:1", "accepted", "dead letter")
    assert "takes it from versioncreated or firstcreated" in str(bad.reason)
    first, second = (entry.found for entry in islice(Pushed(inbox).entries(None), 2) if entry)
    assert isinstance(first, NewsItem)
    assert (first.id, first.title) == ("urn:1", "Holden warns")
    assert first.time <= datetime.now(UTC)
    assert isinstance(second, DeadLetter)
    assert second.reason == bad.reason
    again = next(Pushed(Inbox(database)).entries(None))  # a start without the mapping
    assert again
    assert again.found == first


def test_serve_takes_what_a_run_takes() -> None:
    run, served = (set(signature(command).parameters) for command in (follow_feed, serve))
    assert run - served == {"context", "follow", "dashboard", "as_json"}


def test_an_alert_whose_news_is_forgotten_is_not_explained(tmp_path: Path) -> None:
    state, kept, feed = str(tmp_path / "monitor.db"), timedelta(hours=1), tmp_path / "feed.jsonl"
    feed.write_text("".join(json.dumps(one) + "\n" for one in [*usual(100), *surge(100)]), encoding="utf-8")
    (name,) = monitor([File(str(feed))], models(), state=state, keep_items=kept).alerts
    later = [item(500, 4000, "usual report of another day"), item(501, 4020, "and one more")]
    with running(state, keep_items=kept, backlog=64) as client:
        client.post("/v1/items", json=later)
        until(lambda: client.get("/v1/status").json()["items"] >= 121)
    with asked(tables.opened(state), **HERE) as client:
        refused = client.get(f"/v1/alerts/{name}/explanation")
        assert (refused.status_code, "no longer holds" in refused.json()["detail"]) == (410, True)


def test_one_alert_is_explained_at_a_time_and_others_are_told_when_to_come_again(database: Database) -> None:
    queue, free = Queue(1), threading.Event()
    app, _ = application(database, Inbox(database), queue=queue)
    with TestClient(app, **HERE) as client, ThreadPoolExecutor() as threads:
        queue._threads.submit(free.wait)
        path = f"/v1/alerts/{'0' * 16}/explanation"
        first = threads.submit(client.get, path)
        until(lambda: queue.busy)
        second = client.get(path)
        assert (second.status_code, second.headers["retry-after"]) == (503, "3")
        free.set()
        assert first.result().status_code == 404
        assert client.get(path).status_code == 404
    queue.close()


def test_the_page_needs_no_key_and_lets_no_foreign_script_run(database: Database) -> None:
    with asked(database, client=("192.0.2.1", 5)) as client:
        for path in ("/", "/page.css", "/page.js", "/charts.js", "/why.js"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert "script-src 'self'" in answer.headers["content-security-policy"]
            assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
            assert "innerHTML" not in answer.text


def test_no_input_makes_the_service_fail(database: Database) -> None:
    asked_for = set()
    with asked(database, **HERE) as client:
        headers = {"Authorization": f"Bearer {Keys(database).add('all', 'server')}"}
        schema = schemathesis.openapi.from_asgi("/openapi.json", client.app)
        for found in schema.exclude(path="/v1/events").get_all_operations():  # a stream without end
            operation = found.ok()

            @hypothesis_settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy())
            def probe(case: schemathesis.Case) -> None:
                answer = case.call(headers=headers)
                asked_for.add(case.operation.label)
                assert answer.status_code < 500 or answer.status_code == 503, answer.text

            probe()
    assert len(asked_for) >= 9
