"""PostgreSQL in place of SQLite: the logbook, clicks in lists as feedback, and users who are forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from apps.recommender import tables
from apps.recommender.logbook import Entry, Logbook, Shown
from engine.feedback import FeedbackLog


def test_the_logbook_and_its_feedback_work_there_too(postgresql: str) -> None:
    database = tables.opened(postgresql)
    logbook, now = Logbook(database, "shop"), datetime(2026, 3, 1, tzinfo=UTC)
    for user in ("ann", "bob"):
        logbook.show(
            Shown(f"list of {user}", user, now, "recommender@3", ("a", "b"), (1.0, 0.5), (1.0, 1.0), ("b", "a"))
        )
    told = [
        Entry("interaction", user, {"item": "a", "event": event, "weight": 1.0, "list": f"list of {user}"}, now, id)
        for user, event, id in (("ann", "click", "1"), ("bob", "purchase", "2"), ("bob", "cart", "3"))
    ]
    told += [Entry("interaction", "ann", {**told[0].data, "consent": False}, now + timedelta(hours=1), "4")]
    told += [Entry("item", "a", {"title": "A thing"}, now)]
    assert (logbook.add(told), logbook.add(told[:1])) == (5, 0)
    log = FeedbackLog(database)
    rows = log.read(tenant="shop", model="recommender")
    assert [(one.kind, one.rater, one.text, one.consent) for one in rows][::2] == [
        ("click", "ann", "a", True), ("click", "ann", "a", False),
    ]  # fmt: skip
    assert (rows[1].kind, rows[1].model, rows[1].said["items"]) == ("purchase", "recommender@3", ["a", "b"])
    assert log.count(subject="bob", until=now + timedelta(minutes=1)) == 1
    assert logbook.forget("ann") == 3
    assert [one.rater for one in log.read(tenant="shop")] == ["bob"]
    assert [one.user for one in logbook.shown()] == ["bob"]
    assert [entry.kind for _, entry in logbook.since(0)] == ["interaction", "interaction", "item", "forgotten"]
    database.close()
