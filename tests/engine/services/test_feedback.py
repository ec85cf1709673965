"""Feedback on PostgreSQL: one log for all applications, whoever brought its own tables first."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.db import Database
from engine.errors import InputError
from engine.feedback import MIGRATIONS, FeedbackLog, opened
from engine.feedback.log import NAME
from tests.engine.test_feedback import said


def test_the_log_does_there_what_it_does_on_sqlite(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_DATABASE", postgresql)
    log = opened()
    rows = [
        replace(said("I am a@b.example", correction={"intent": "退款"}), kind="correction"),
        said("b", model="bot@12", subject="talk-2", consent=False),
        said("c", model="Bot@1", time=(datetime.now(UTC) - timedelta(days=2)).isoformat()),
        said("d", tenant="other"),
    ]
    with log.database.write() as connection:
        assert [log.add(connection, one) for one in [*rows, rows[0]]] == [True] * 4 + [False]
    found = {one.id: one for one in log.read(tenant="acme")}
    assert (found[rows[0].id].text, found[rows[0].id].correction) == ("I am [EMAIL]", {"intent": "退款"})
    assert [found[one.id].consent for one in rows[:3]] == [True, False, True]
    assert [one.text for one in log.read(tenant="acme", model="bot")] == ["I am [EMAIL]", "b"]
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert log.count(tenant="acme", since=yesterday) == 2
    assert [one.text for one in log.read(tenant="acme", until=yesterday)] == ["c"]
    with log.database.write() as connection:
        assert log.erase(connection, "acme", ["talk-1"]) == 2
    assert log.count(tenant="acme") == 1
    with pytest.raises(InputError, match="zone"):
        log.count(since="2026-03-01")
    log.database.close()


def test_the_same_label_from_many_at_once_is_written_once(postgresql: str) -> None:
    log, one = opened(postgresql), said("at once", tenant="many")
    new: list[bool] = []

    def write() -> None:
        with log.database.write() as connection:
            new.append(log.add(connection, one))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == [False] * 7 + [True]
    assert log.count(tenant="many") == 1
    log.database.close()


def test_feedback_of_an_earlier_version_is_kept(postgresql: str, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    (first / "0001_feedback.py").write_bytes((MIGRATIONS / "0001_feedback.py").read_bytes())
    schema = f"{postgresql}?options=-csearch_path%3Dearlier"
    admin = opened(postgresql)
    with admin.database.write() as connection:
        connection.exec_driver_sql("CREATE SCHEMA earlier")
    admin.database.close()
    old = Database.open(schema, name=NAME, migrations=first)
    with old.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO feedback (id, time, tenant, model, subject, text, said) "
            "VALUES ('1', '2026-01-01T00:00:00.000+00:00', 'acme', 'bot@3', 't', 'hi', '{}')"
        )
    old.close()
    database = Database.open(schema, name=NAME, migrations=MIGRATIONS)
    (found,) = FeedbackLog(database).read(model="bot")
    assert (found.app, found.kind, found.consent) == ("customer_service", "vote", False)
    database.close()
