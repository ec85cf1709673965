"""The outbox over real HTTP: every change comes once by its id, in order, whatever fails on the way."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from apps.finance_monitor import outbox, tables, undelivered
from apps.finance_monitor.cli import app
from apps.finance_monitor.journal import Journal
from apps.finance_monitor.meter import Meter
from apps.finance_monitor.outbox import Outbox
from apps.finance_monitor.sinks import Slack, Webhook, post, webhook
from apps.finance_monitor.sinks.escalation import Escalation
from engine.errors import InputError
from tests.finance_monitor.test_journal import changes, fresh, news, taken

Answer = Callable[[int], int]
"""Number of a request -> its status; below 0 the line is cut after the message was taken."""


class Received:
    """What a server was sent: (headers, body) of each message that it took."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.requests = 0
        self.url = ""


@contextmanager
def server(answer: Answer) -> Iterator[Received]:
    found = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = answer(found.requests)
            found.requests += 1
            if status < 0 or status < 300:
                found.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
            if status < 0:
                return  # the sink has it, and its answer is lost
            self.send_response(status)
            self.send_header("retry-after", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        found.url = f"http://127.0.0.1:{httpd.server_port}/hook"
        yield found
        httpd.shutdown()
        thread.join()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(str(tmp_path / "monitor.db"))
    yield found
    found.close()


def fill(record: Journal, count: int) -> list[str]:
    """So many changes; their message ids."""
    state = record.restore(fresh)
    first, *_, last = taken(state, news())
    made = []
    for number in range(count):
        alert = json.loads(first if number % 2 == 0 else last)
        alert["id"] = f"alert{number // 2:03d}"
        made.append(json.dumps(alert))
    record.write({"f": "1"}, [], [], changes(made), state)
    return [f"{json.loads(line)['id']}-{json.loads(line)['revision']}" for line in made]


def ids(found: Received) -> list[str]:
    """In order, each once."""
    return list(dict.fromkeys(headers["webhook-id"] for headers, _ in found.taken))


def test_a_webhook_that_fails_a_third_of_the_time_gets_every_change_once_by_id_and_in_order(record: Journal) -> None:
    messages = fill(record, 40)
    draw = random.Random(13)
    with server(lambda number: draw.choices([200, 500, 429, -1], [70, 15, 5, 10])[0]) as found:
        box = Outbox(record.database, [Webhook(found.url)], first=0.0, poll=0.005)
        box.start()
        for _ in range(2000):
            if len(ids(found)) == len(messages):
                break
            threading.Event().wait(0.01)
        assert box.end() == {}
    assert ids(found) == messages
    assert found.requests > len(messages)
    with record.database.read() as connection:
        assert connection.execute(tables.undelivered.select()).all() == []


def test_a_restart_sends_what_is_left_and_nothing_twice(record: Journal) -> None:
    messages = fill(record, 10)
    with server(lambda number: 200 if number < 4 else 503) as found:
        hook = Webhook(found.url)
        first = Outbox(record.database, [hook], poll=0.005)
        first.start()
        assert first.end() == {hook.name: 6}
        assert ids(found) == messages[:4]
    with server(lambda number: 200) as again:
        moved = Outbox(record.database, [Webhook(again.url)], poll=0.005)
        moved.start()
        assert moved.end() == {}
        assert ids(again) == messages  # another address is another sink


def test_one_sink_that_is_away_holds_up_no_other(record: Journal) -> None:
    messages = fill(record, 6)
    with server(lambda number: 200) as found:
        gone = Webhook("http://127.0.0.1:9/nothing")
        box = Outbox(record.database, [gone, Webhook(found.url)], poll=0.005)
        box.start()
        assert box.end() == {gone.name: 6}
        assert ids(found) == messages


def test_what_is_refused_for_good_is_kept_with_its_reason_and_the_next_goes_on(
    record: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "TRIES", 3)
    messages = fill(record, 2)
    with server(lambda number: 400 if number < 3 else 200) as found:
        box = Outbox(record.database, [Webhook(found.url)], first=0.0)
        for _ in range(6):
            box.deliver()
        assert ids(found) == messages[1:]
        assert found.requests == 4
    with record.database.read() as connection:
        (left,) = connection.execute(tables.undelivered.select()).all()
    assert (left.number, left.reason) == (1, "answered 400")


def test_what_was_given_up_is_counted_and_sent_again_but_for_what_a_later_change_has_overtaken(
    record: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(outbox, "TRIES", 1)
    messages = fill(record, 3)
    with server(lambda number: 400 if number in (0, 2, 3) else 200) as found:
        hook = Webhook(found.url)
        box = Outbox(record.database, [hook], first=0.0)
        for _ in range(3):
            box.deliver()
        assert ids(found) == [messages[1]]
        registry = CollectorRegistry()
        meter = Meter(registry, record.database, [hook])
        assert registry.get_sample_value("keel_news_given_up_changes", {"sink": hook.name}) == 2
        assert (record.given_up(), meter.given_up()) == ({hook.name: 2}, {hook.name: 2})
        assert meter.undelivered() == {hook.name: 0}

        resend = ["resend", "--state", str(tmp_path / "monitor.db")]
        app(resend, standalone_mode=False)
        assert capsys.readouterr().out == (
            f"{hook.name}: {messages[0]} overtaken by a later change, not sent (answered 400)\n"
            f"{hook.name}: {messages[2]} is sent again (answered 400)\n"
        )
        assert (record.given_up(), meter.undelivered()) == ({}, {hook.name: 1})
        app(resend, standalone_mode=False)
        assert capsys.readouterr().out == "nothing was given up\n"

        box.deliver()  # refused once more
        assert record.given_up() == {hook.name: 1}
        app([*resend, "--json"], standalone_mode=False)
        (told,) = json.loads(capsys.readouterr().out)
        assert (told["message"], told["reason"], told["overtaken"]) == (messages[2], "answered 400", False)
        record.write({"f": "2"}, [], [], changes([_later(record, 3, status="resolved")]), record.restore(fresh))
        while box.deliver():
            pass
        assert ids(found) == [messages[1], messages[2], f"{messages[2][:-1]}2"], "in order, as it waits before all else"
        assert (record.given_up(), box.end()) == ({}, {})


def test_an_escalation_that_was_given_up_is_sent_again_as_one(record: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "TRIES", 1)
    fill(record, 1)
    calm = json.dumps(json.loads(next(record.changes())) | {"id": "calm", "severity": "warning"})
    record.write({"f": "2"}, [], [], changes([calm]), record.restore(fresh))
    with server(lambda number: 500 if number == 1 else 200) as found:
        higher = Escalation(Webhook(found.url), timedelta(minutes=30))
        for _ in range(2):  # started anew
            box = Outbox(record.database, [higher], first=0.0)
            box.clock = datetime(2027, 1, 1, tzinfo=UTC)
            for _ in range(2):
                box.deliver()
            with record.database.write() as connection:
                undelivered.send_again(connection)
    told = [json.loads(body) for _, body in found.taken]
    assert [one["commonAnnotations"]["change"] for one in told] == ["escalated"] * 2
    assert "Escalated (firing for 30 minutes), warning" in told[1]["commonAnnotations"]["summary"]


def _later(record: Journal, number: int, **more: str) -> str:
    """The next change of the alert that change is of."""
    alert = json.loads(list(record.changes())[number - 1])
    return json.dumps(alert | {"revision": alert["revision"] + 1, "closed": alert["updated"], "reason": "calm"} | more)


def test_a_webhook_is_alertmanagers_and_its_signature_that_of_standard_webhooks(record: Journal) -> None:
    fill(record, 2)
    with server(lambda number: 200) as found:
        box = Outbox(record.database, [Webhook(found.url, b"key"), Slack(found.url)])
        while box.deliver():
            pass
    headers, body = found.taken[0]
    signed = webhook.signature(b"key", headers["webhook-id"], headers["webhook-timestamp"], body)
    assert headers["webhook-signature"] == signed
    document = json.loads(body)
    assert (document["version"], document["status"]) == ("4", "firing")
    (alert,) = document["alerts"]
    assert alert["fingerprint"] == "alert000"
    assert alert["labels"]["key"] == "cyber"
    assert alert["endsAt"].startswith("0001")
    assert "negative stories on topic cyber" in alert["annotations"]["summary"]
    slack = json.loads(found.taken[1][1])
    assert slack["text"].startswith("*")
    assert "attack" in slack["text"]
    assert json.loads(found.taken[2][1])["status"] == "resolved"


def test_a_signature_is_that_of_the_specifications_example() -> None:
    """The example of Standard Webhooks 1.0.0."""
    key = webhook.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert key is not None
    body = b'{"test": 2432232314}'
    found = webhook.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("url", ["ftp://host/x", "no url", "http://", "http://host:port/"])
def test_what_nobody_can_post_to_is_told(url: str) -> None:
    with pytest.raises(InputError, match="--webhook"):
        post.checked(url, "--webhook")


def test_a_secret_that_is_none_is_told() -> None:
    assert webhook.secret(None) is None
    assert webhook.secret(f"whsec_{base64.b64encode(b'key').decode()}") == b"key"
    with pytest.raises(InputError, match="KEEL_WEBHOOK_SECRET"):
        webhook.secret("whsec_no base64")
