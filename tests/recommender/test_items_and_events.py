"""Items and events: what is wrong with a row is told by file, row, field and remedy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from apps.recommender.events import Event, Events
from apps.recommender.items import Items
from apps.recommender.settings import Settings
from engine.errors import DataError, InputError


def test_a_text_is_title_description_and_tags() -> None:
    rows = [
        {"item_id": 1, "title": "Lamp", "description": "Warm light", "tags": ["desk", "brass"]},
        {"item_id": 2, "title": "Chair", "description": None, "tags": None},
        {"item_id": 3, "title": " ", "description": None, "tags": ""},
    ]
    items = Items.of(pd.DataFrame(rows))
    assert items.texts() == ["Lamp. Warm light. desk, brass", "Chair", ""]
    assert items.texts(["2"]) == ["Chair"]
    assert items.without_text == 1
    assert items.numbers(["3", "nothing", "1"]).tolist() == [2, -1, 0]
    with pytest.raises(InputError, match="'9' is not in the catalogue"):
        items.texts(["9"])


def test_added_items_stand_behind_and_a_known_one_is_replaced() -> None:
    items = Items.of(pd.DataFrame({"item_id": ["a", "b"], "title": ["A", "B"], "price": [1.0, 2.0]}))
    grown = items.added(Items.of(pd.DataFrame({"item_id": ["b", "c"], "title": ["new B", "C"]})))
    assert grown.ids.tolist() == ["a", "b", "c"]
    assert grown.texts() == ["A", "new B", "C"]
    assert items.texts() == ["A", "B"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"title": "A"}], "no column 'item_id'"),
        ([{"item_id": "a"}, {"item_id": None}], "row 2, field 'item_id': empty"),
        ([{"item_id": "a"}, {"item_id": "a"}], "row 2, field 'item_id': 'a' stood before"),
        ([{"item_id": "a", "price": "dear"}], "row 1, field 'price': 'dear'"),
        ([{"item_id": "a", "price": -1}], "row 1, field 'price'"),
        ([{"item_id": "a", "published": "soon"}], "row 1, field 'published': 'soon' is no time"),
    ],
)
def test_a_bad_item_is_refused(rows: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(DataError, match=told):
        Items.of(pd.DataFrame(rows))


def test_items_are_read_from_files(write: Callable[[str, str | bytes], Path], tmp_path: Path) -> None:
    for name, content in (("a.csv", "item_id,title\n01,Lamp\n"), ("a.jsonl", '{"item_id": "01", "title": "Lamp"}\n')):
        assert Items.read(write(name, content)).texts(["01"]) == ["Lamp"]
    with pytest.raises(InputError, match="no such file"):
        Items.read(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"\.csv, \.tsv, \.jsonl or \.parquet"):
        Items.read(write("a.txt", "x"))
    with pytest.raises(DataError, match=r"a\.jsonl: unreadable"):
        Items.read(write("a.jsonl", "{"))


def test_histories_are_oldest_first_and_cut_before_a_moment() -> None:
    rows = [
        {"user_id": 7, "item_id": "b", "datetime": "2026-01-02T00:00:00Z", "event": "purchase"},
        {"user_id": 7, "item_id": "a", "datetime": "2026-01-01T01:00:00+01:00"},
    ]
    events = Events.of(pd.DataFrame(rows))
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    assert events.history("7") == (Event("a", "click", 1.0, first), Event("b", "purchase", 1.0, second))
    assert events.history("8") == ()
    assert [event.item_id for event in events.before(second).history("7")] == ["a"]


def test_without_times_the_order_stands() -> None:
    events = Events.of(pd.DataFrame({"user_id": ["u", "t", "u"], "item_id": ["b", "c", "a"]}))
    assert not events.timed
    assert [event.item_id for event in events.history("u")] == ["b", "a"]
    more = events.added(Events.of(pd.DataFrame({"user_id": ["u"], "item_id": ["z"]})))
    assert [event.item_id for event in more.history("u")] == ["b", "a", "z"]
    with pytest.raises(InputError, match="no times"):
        events.before(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"user_id": None}, "row 1, field 'user_id': empty"),
        ({"weight": float("inf")}, "row 1, field 'weight': no finite number"),
        ({"weight": "much"}, "row 1, field 'weight'"),
        ({"datetime": "yesterday"}, "row 1, field 'datetime': 'yesterday' is no time"),
    ],
)
def test_a_bad_event_is_refused(row: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        Events.of(pd.DataFrame([{"user_id": "u", "item_id": "i", **row}]))


def test_settings_name_what_is_wrong_in_them(write: Callable[[str, str | bytes], Path]) -> None:
    found = Settings.read(write("s.yaml", "values: {click: 1, purchase: 10}\nbooster: {rounds: 9}\n"))
    assert (found.values["purchase"], found.booster.rounds) == (10, 9)
    with pytest.raises(InputError, match=r"s\.yaml: booster\.round: Extra"):
        Settings.read(write("s.yaml", "booster: {round: 9}\n"))
    with pytest.raises(InputError, match=r"values\.click: Input should be greater"):
        Settings.parse({"values": {"click": -1}})
