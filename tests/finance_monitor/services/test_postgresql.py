"""finance-monitor's journal on a real PostgreSQL: as on SQLite."""

from __future__ import annotations

import pytest

from apps.finance_monitor.items import DeadLetter
from apps.finance_monitor.journal import Journal
from engine.errors import InputError
from tests.finance_monitor.test_journal import changes, fresh, news, taken


def test_a_journal_goes_on_after_a_restart_and_keeps_nothing_of_half_a_chunk(postgresql: str) -> None:
    items = news()
    whole = taken(fresh(), items)
    for start in range(0, len(items), 50):
        record = Journal(postgresql)
        state = record.restore(fresh)
        chunk = items[start : start + 50]
        found = changes(taken(state, chunk))
        letter = DeadLetter("feed", 1, "why", "涨")
        record.write({"feed": str(start + 50)}, chunk, [letter], found, state)
        record.close()
    record = Journal(postgresql)
    with pytest.raises(InputError, match="another monitor is writing it"):
        Journal(postgresql)
    assert list(record.changes()) == whole
    assert record.position("feed") == str(start + 50)
    assert len(list(record.dead())) == len(range(0, len(items), 50))
    with pytest.raises(Exception, match="duplicate key"):
        record.write({"feed": "0"}, [], [], changes(whole), record.restore(fresh))
    assert record.position("feed") != "0"
    record.close()
