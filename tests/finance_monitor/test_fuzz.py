"""Whatever a feed holds, each line is an item or a dead letter with its reason, and is counted once."""

from __future__ import annotations

import json
import random
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.finance_monitor.arrivals import Arrivals
from apps.finance_monitor.feeds import named
from apps.finance_monitor.items import Bad, DeadLetter, NewsItem, parse
from apps.finance_monitor.labels import label
from bench import fuzz, shapes
from tests.finance_monitor.test_journal import fresh

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(fuzz.TIMES + fuzz.TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
GOOD = {"id": "n1", "published": "2026-03-02T08:00:00Z", "title": "Attack at Halden Bank", "source": "wire"}


def checked(raw: bytes) -> None:
    try:
        item = parse(raw)
    except Bad as fault:
        if not str(fault):
            raise AssertionError(f"{raw!r} is refused without a reason") from fault
        return
    assert isinstance(item, NewsItem)
    assert item.time.tzinfo is UTC
    assert item.time + timedelta(days=365) > item.time  # no arithmetic with it overflows
    json.dumps(vars(item), ensure_ascii=False, default=str).encode()  # it can be kept and sent


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
@example(b"[" * 100_000)
@example(b'{"id": ' + b"9" * 5000 + b"}")
@example(b'{"a":' * 100_000)
def test_any_bytes_are_an_item_or_have_a_reason(raw: bytes) -> None:
    checked(raw)


@given(st.dictionaries(st.sampled_from(fuzz.FIELDS), ANYTHING), st.sets(st.sampled_from([*GOOD]), max_size=1))
@settings(max_examples=250, deadline=None)
def test_any_values_of_any_fields_are_an_item_or_have_a_reason(changes: dict[str, Any], gone: set[str]) -> None:
    values = {name: value for name, value in {**GOOD, **changes}.items() if name not in gone}
    checked(json.dumps(values).encode())


@given(st.integers(0, 10**9), st.integers(1, 60))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_line_of_any_feed_is_counted_once_on_its_way(tmp_path: Path, seed: int, count: int) -> None:
    data = list(fuzz.lines(random.Random(seed), count))
    path = tmp_path / "feed.jsonl"
    path.write_bytes(b"".join(data))
    entries = [entry for entry in named(str(path)).entries(None) if entry]
    assert len(entries) == count
    assert [entry.found is None for entry in entries] == [not line.strip() for line in data]
    assert all(entry.found.reason for entry in entries if isinstance(entry.found, DeadLetter))
    items = [entry.found for entry in entries if isinstance(entry.found, NewsItem)]
    words: Any = fuzz.Words()
    state = fresh()
    for one in label(items, [words], words):
        list(state.monitor.take(state.arrivals.add(one)))
    list(state.monitor.take(state.arrivals.rest()))
    counts: Arrivals = state.arrivals
    assert state.monitor.tally.items + counts.late + counts.duplicates == len(items)


@pytest.mark.parametrize("seed", range(2))
def test_a_run_with_a_state_counts_each_line_once_and_none_again(seed: int) -> None:
    found = fuzz.counted(b"".join(fuzz.lines(random.Random(seed), 150)))
    assert (found.lines, found.uncounted) == (150, 0)
    assert min(found.blank, found.dead, found.read) > 0


@pytest.mark.parametrize("shape", shapes.SHAPES, ids=lambda shape: shape.__name__)
def test_other_shapes_count_each_entry_once_and_none_again(shape: Any, tmp_path: Path) -> None:
    found = shape(random.Random(4), 40, tmp_path)
    assert found.uncounted == 0
    assert found.lines > 8
