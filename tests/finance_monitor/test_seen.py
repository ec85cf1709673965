"""Names are known for two days after their last time, whatever comes, and take room no longer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from apps.finance_monitor.seen import GENERATIONS, REMEMBERED, Seen

START = datetime(2026, 3, 2, tzinfo=UTC)
HOURS = st.integers(0, 30)


@given(st.lists(st.tuples(HOURS, st.sampled_from("abc"), st.integers(-60, 120))))
def test_names_are_known_as_a_plain_table_knows_them(steps: list[tuple[int, str, int]]) -> None:
    seen: Seen[str] = Seen()
    plain: dict[str, datetime] = {}
    now = START
    for hours, name, ahead in steps:
        now += timedelta(hours=hours)
        seen.forget(now)
        assert {one for one in "abc" if one in seen} == {one for one in plain if now - plain[one] < REMEMBERED}
        plain[name] = now + timedelta(hours=ahead)
        seen.add(name, plain[name])


def test_old_names_take_no_room() -> None:
    seen: Seen[int] = Seen()
    for hour in range(1000):
        seen.forget(START + timedelta(hours=hour))
        seen.add(hour, START + timedelta(hours=hour))
        assert len(seen) <= 48 + 48 // GENERATIONS + 1
