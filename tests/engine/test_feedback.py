"""Feedback: one log for all applications; what is in it, what comes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.db import Database, default_url
from engine.errors import InputError
from engine.feedback import MIGRATIONS, Feedback, FeedbackLog, opened


def said(text: str = "hi", **given: Any) -> Feedback:
    """A user's thumb up, but for what is given."""
    usual: dict[str, Any] = {
        "tenant": "acme", "model": "bot@1", "subject": "talk-1", "said": {"intent": {"label": "fees"}}, "verdict": 1.0,
        "app": "customer_service", "kind": "vote", "rater": "u1", "consent": True,
    }  # fmt: skip
    return Feedback(text=text, **{**usual, **given})


def put(log: FeedbackLog, *rows: Feedback) -> list[bool]:
    with log.database.write() as connection:
        return [log.add(connection, one) for one in rows]


@pytest.fixture
def log() -> Iterator[FeedbackLog]:
    found = opened()
    yield found
    found.database.close()


def test_feedback_is_masked_kept_by_tenant_and_erased_by_subject(log: FeedbackLog) -> None:
    first = said("I am a@b.example", said={"text": "a@b.example, hello", "probability": 0.5})
    second = said(subject="talk-2", kind="correction", correction={"intent": "call +44 20 7946 0958"})
    put(log, first, second, said(tenant="other"))
    found, corrected = log.read(tenant="acme")
    assert (found.text, found.said, found.verdict) == (
        "I am [EMAIL]",
        {"text": "[EMAIL], hello", "probability": 0.5},
        1,
    )
    assert corrected.correction == {"intent": "call [PHONE]"}
    assert log.find(first.id) == found
    with log.database.write() as connection:
        assert log.erase(connection, "acme", ["talk-1", "talk-9"]) == 1
    assert [one.subject for one in log.read(tenant="acme")] == ["talk-2"]
    assert (log.count(tenant="other"), log.find(first.id)) == (1, None)


def test_what_is_asked_for_is_found(log: FeedbackLog) -> None:
    rows = [
        said("a", time="2026-03-01T10:00:00+01:00"),
        said("b", time="2026-03-01T09:30:00Z", model="bot@12", kind="correction"),
        said("c", time="2026-03-01T10:00:00Z", model="bot-zh@1", app="console"),
        said("d", time="2026-03-01T08:00:00Z", model="", tenant="other", consent=False),
    ]
    assert put(log, *rows) == [True] * 4
    assert put(log, rows[0], said("e", id=rows[1].id)) == [False, False], "told again, it is passed over"

    def texts(**asked: Any) -> str:
        found = log.read(**asked)
        assert log.count(**asked) == len(found)
        return "".join(one.text for one in found)

    assert texts() == "dabc"
    assert (texts(model="bot"), texts(model="bot@1"), texts(model="bot-zh"), texts(model="Bot")) == ("ab", "a", "c", "")
    assert (texts(kind="correction"), texts(app="console"), texts(tenant="other")) == ("b", "c", "d")
    assert (texts(since="2026-03-01T09:30:00Z"), texts(until="2026-03-01T09:30:00Z")) == ("bc", "da")
    assert [one.consent for one in log.read()] == [False, True, True, True]
    with pytest.raises(InputError, match="zone"):
        log.read(since="2026-03-01")
    with pytest.raises(InputError, match="no time"):
        put(log, said(time="yesterday"))


OLD = """
create table feedback (
    id text primary key, time text not null, tenant text not null, model text not null, subject text not null,
    text text not null, said text not null, verdict float, correction text);
create index feedback_subject on feedback (tenant, subject);
create table feedback_migrations (version_num varchar(32) primary key);
insert into feedback_migrations values ('0001');
insert into feedback values ('1', '2026-01-01T00:00:00.000+00:00', 'acme', 'bot@3', 't', 'hi', '{}', 1.0, null);
"""
"""The log as its first version left it."""


def test_feedback_of_an_earlier_version_is_kept_and_nobody_is_said_to_have_agreed(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as old:
        old.executescript(OLD)
    database = Database.open(f"sqlite:///{file}", name="feedback", migrations=MIGRATIONS)
    (found,) = FeedbackLog(database).read(model="bot")
    assert (found.text, found.app, found.kind, found.rater) == ("hi", "customer_service", "vote", "")
    assert not found.consent
    database.close()


def test_an_earlier_database_is_not_left_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_url(formerly="support.db") == f"sqlite:///{home}/keel.db"
    home.mkdir()
    (home / "support.db").touch()
    with pytest.raises(InputError, match=r"support\.db: an earlier version.*--database sqlite:///"):
        default_url(formerly="support.db")
    monkeypatch.setenv("KEEL_DATABASE", "postgresql://there")
    assert default_url(formerly="support.db") == "postgresql://there"
