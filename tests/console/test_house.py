"""The house of a home without any model: all answers, and says what is missing and which command makes it."""

from __future__ import annotations

import json
import logging
import time
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from apps.console.cli import app, serve
from apps.console.house import House
from apps.console.names import App
from apps.console.parts import part, support
from apps.finance_monitor import run
from apps.finance_monitor.desk import Desk
from apps.finance_monitor.learn import NEWS
from apps.finance_monitor.serve_cli import serve as serve_alone
from apps.finance_monitor.sinks import Webhook
from engine import Store
from engine.errors import InputError
from tests.finance_monitor.test_outbox import server
from tests.finance_monitor.test_serve import surge, until, usual
from tests.finance_monitor.words import models

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
        ready = client.get("/readyz")
        assert ready.is_success, "a container that waits for its first train is no faulty one"
        assert set(ready.json()["details"].values()) == {"missing"}
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

    def ready(*options: Any, **_: Any) -> Any:
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
        House(f"sqlite:///{home}/keel.db", apps=[App.FINANCE_MONITOR], desk=Desk(("redis://",)))


@pytest.fixture
def newsroom(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A news model is stored; those that go by words answer in its place."""
    store = Store()
    with store.staging(NEWS) as staged:
        store.promote(store.commit(NEWS, staged, {}))
    monkeypatch.setattr(run, "models", lambda *_, **__: models())


@pytest.mark.usefixtures("newsroom")
def test_its_monitor_delivers_alerts_and_watches_the_companies_it_is_told(home: Path, tmp_path: Path) -> None:
    feed, watched, alerts = (tmp_path / name for name in ("feed.jsonl", "watched.txt", "alerts.jsonl"))
    feed.write_text("".join(json.dumps(one) + "\n" for one in [*usual(200), *surge(200)]), encoding="utf-8")
    watched.write_text("Halden Bank\n", encoding="utf-8")
    with server(lambda _: 200) as hook:
        desk = Desk((str(feed),), sinks=(Webhook(hook.url),), monitor={"watch_list": watched, "log": alerts})
        house = House(f"sqlite:///{home}/keel.db", apps=[App.FINANCE_MONITOR], desk=desk)
        with TestClient(house.app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)) as client:
            until(lambda: hook.taken)
            assert 'sink="webhook ' in client.get("/news/metrics").text
    (sent,) = json.loads(hook.taken[0][1])["alerts"]
    written = json.loads(alerts.read_text(encoding="utf-8").splitlines()[0])
    assert sent["labels"]["key"] == written["key"]["value"] == "cyber"
    assert written["settings"]["companies"]["file"] == str(watched)


def test_it_takes_what_the_monitors_own_serve_takes() -> None:
    alone, in_a_house = (set(signature(command).parameters) for command in (serve_alone, serve))
    assert alone - in_a_house == {"state", "tenant"}, "the house's database, and its first tenant"


@pytest.mark.usefixtures("newsroom")
def test_its_monitor_reads_what_is_pushed_by_its_mapping_and_keeps_what_it_cannot_read(
    home: Path, tmp_path: Path
) -> None:
    dead = tmp_path / "dead.jsonl"
    desk = Desk(mapping="ninjs", monitor={"dead_letters": dead})
    house = House(f"sqlite:///{home}/keel.db", apps=[App.FINANCE_MONITOR], desk=desk)
    news = {"uri": "urn:1", "versioncreated": "2026-03-02T08:00:00Z", "headline": "Bank reports", "language": "en"}
    with TestClient(house.app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)) as client:
        client.post("/news/v1/items", json=[news, {"uri": "urn:2"}, {**news, "uri": "urn:3"}])
        until(lambda: client.get("/news/v1/status").json()["dead"] == 1)
    (letter,) = map(json.loads, dead.read_text(encoding="utf-8").splitlines())
    assert "urn:2" in json.dumps(letter)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--webhook", "nowhere"], "--webhook nowhere"),
        (["--companies", "none.yaml"], "none.yaml"),
        (["--app", "recommender", "--slack", "https://127.0.0.1/a"], "add --app finance_monitor"),
        (["--database", "sqlite:////dev/null/keel.db"], "/dev/null"),
    ],
)
def test_what_cannot_be_served_is_refused_before_an_address_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # or the command sets it for all that follows
    done = CliRunner().invoke(app, ["serve", *words])
    assert isinstance(done.exception, InputError)
    assert told in str(done.exception)
    assert "http" not in done.output


def test_a_feed_that_is_not_there_yet_is_waited_for_and_named(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        House(f"sqlite:///{home}/keel.db", apps=[App.FINANCE_MONITOR], desk=Desk((f"{home}/live.jsonl",)))
    assert f"{home}/live.jsonl: no such file yet; it is waited for" in caplog.text
