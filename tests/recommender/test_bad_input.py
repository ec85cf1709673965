"""What is odd in items, events or a request has a documented answer or a clear error; no feature is lost in silence."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommender.catalogue import Catalogue
from apps.recommender.columns import Columns
from apps.recommender.events import Event, Events
from apps.recommender.items import Items
from apps.recommender.listing import Lister
from apps.recommender.past import Met, Past
from apps.recommender.ranker import Recommender
from apps.recommender.settings import Settings
from engine import Progress
from engine.errors import InputError

ALL = [f"{taste}-{number}" for taste in range(4) for number in range(12)]


def messy(items: Items) -> Items:
    """The shop's items with gaps, infinite numbers, mute items and columns that say nothing."""
    random = np.random.default_rng(2)
    frame = items.frame.copy()
    gaps = random.random(len(frame)) < 0.3
    frame.loc[gaps, ["price", "published", "category"]] = [np.nan, pd.NaT, None]
    frame.loc[["0-1", "1-1"], "title"] = [None, "  "]
    stock = random.integers(0, 9, len(frame)).astype(float)
    stock[:3] = [np.nan, np.inf, -np.inf]
    brands = pd.Series([None if gone else f"brand {n % 5}" for n, gone in enumerate(gaps)], frame.index, dtype=object)
    numbered = pd.array([None if gone else 3 for gone in gaps], "Int64")
    serials = [f"s{n}" for n in range(len(frame))]
    frame = frame.assign(stock=stock, brand=brands, seldom=numbered)
    return Items.of(frame.assign(empty=np.nan, blank="", same=7, serial=serials))


UNUSED = {
    "empty": "it holds no value",
    "blank": "it holds no value",
    "same": "all items have the same value",
    "serial": "48 different texts for 48 items, so that hardly two share one",
}


@pytest.fixture(scope="module")
def told() -> io.StringIO:
    """What the training said."""
    return io.StringIO()


@pytest.fixture(scope="module")
def learnt(shop: tuple[Items, Events], shop_settings: Settings, session_home: Path, told: io.StringIO) -> Recommender:
    given = shop_settings.model_dump()
    quick = {"text": {**given["text"], "epochs": 1}, "sequence": {"epochs": 0}, "booster": {"rounds": 8, "threads": 1}}
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(told):
        patch.setenv("KEEL_HOME", str(session_home))
        return Recommender.fit(
            messy(shop[0]), shop[1], settings=Settings.parse({**given, **quick}), progress=Progress()
        )


@pytest.fixture(autouse=True)
def _home(session_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_HOME", str(session_home))


def test_columns_that_are_no_features_are_named_with_the_reason(learnt: Recommender) -> None:
    columns = learnt.features.catalogue.columns
    assert columns.unused == UNUSED
    assert columns.told()[-1].startswith("column 'serial' of the items is left out: 48 different texts")
    used = {name.removeprefix("catalogue.") for name in learnt.features.names}
    assert {"stock", "seldom", "brand_affinity", "category_affinity", "price_log", "age_days"} <= used
    assert not used & {name for one in UNUSED for name in (one, f"{one}_affinity")}


def test_a_training_says_what_its_items_lack(learnt: Recommender, told: io.StringIO) -> None:
    said = told.getvalue()
    assert all(f"column '{name}' of the items is left out: {why}" in said for name, why in UNUSED.items())
    assert "2 items have no text" in said


def test_missing_and_infinite_values_are_missing_and_every_item_is_ranked(learnt: Recommender) -> None:
    assert learnt.items.without_text == 2
    ranked = learnt.rank("u3", ALL)
    assert sorted(one.item_id for one in ranked) == sorted(ALL)
    assert all(np.isfinite(one.score) for one in ranked)
    matrix = learnt.features.frame(Past.of([()], learnt.items), np.zeros(3, np.int64), np.arange(3, dtype=np.int32))
    assert matrix["catalogue.stock"].isna().all()
    assert not np.isinf(matrix.to_numpy()).any()


def test_a_missing_price_in_the_past_does_not_hide_the_others() -> None:
    frame = pd.DataFrame({"item_id": list("abc"), "title": list("abc"), "price": [np.nan, 20.0, 10.0]})
    items = Items.of(frame)
    past, none = Past.of([(Event("a"), Event("b"))], items), np.zeros(1, np.int64)
    asked = np.array([2], np.int32)
    catalogue = Catalogue(items)
    found = catalogue.features(past, none, asked, Met.of(past, none, asked, 10), None)
    at = catalogue.names.index("price_to_usual")
    assert found[0, at] == pytest.approx(np.log1p(10.0) - np.log1p(20.0))


def test_a_request_of_odd_parts_has_an_answer(learnt: Recommender) -> None:
    lister = Lister(learnt)
    assert lister.ranked("u1", []).rows == () == learnt.rank("u1", [])
    assert learnt.score(["u1"], [[]]).empty
    assert learnt.score([], []).empty
    assert [one.item_id for one in learnt.rank("nobody", ["0-1", "0-1"])] == ["0-1"], "ranked once"
    assert learnt.score(["u1"], ["0-1", "0-1"])["item_id"].tolist() == ["0-1", "0-1"], "scored as asked"
    assert learnt.rank("nobody", ALL) == learnt.rank((), ALL), "of a user nobody knows the history is empty"
    gone = (Event("left the catalogue"), Event("0-1"))
    assert learnt.rank(gone, ALL) == learnt.rank(gone[1:], ALL)


def test_a_history_of_the_future_is_refused_wherever_it_is_given(learnt: Recommender) -> None:
    early = datetime(2026, 1, 1, tzinfo=UTC)
    late = (Event("0-1", time=datetime(2026, 5, 1, tzinfo=UTC)),)
    with pytest.raises(InputError, match="'0-1' at 2026-05-01 .*, after 2026-01-01 .*; cut it before the request"):  # noqa: RUF043
        learnt.rank(late, ALL, as_of=early)
    with pytest.raises(InputError, match="cut it before the request"):
        learnt.score(["nobody", "u1"], ALL, as_of=early)
    assert len(learnt.rank("nobody", ALL, as_of=early)) == len(ALL)


def test_what_serves_as_a_feature_stays_as_items_come_and_go(learnt: Recommender) -> None:
    new = Items.of(
        pd.DataFrame({"item_id": ["new", "0-2"], "title": ["oil price", "oil"], "same": [8, 9], "odd": ["x", "y"]})
    )
    grown = learnt.add_items(new)
    assert grown.features.names == learnt.features.names
    assert {"new", "0-2"} <= {one.item_id for one in grown.rank("u1", [*ALL, "new"])}
    loaded = Recommender.load(grown.save("messy").version)
    assert loaded.features.catalogue.columns == learnt.features.catalogue.columns
    assert loaded.rank("u1", [*ALL, "new"]) == grown.rank("u1", [*ALL, "new"])


VALUES = st.one_of(st.none(), st.floats(), st.integers(-5, 5), st.text(max_size=3), st.booleans())


@settings(max_examples=50, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=12))
def test_whatever_a_column_holds_it_is_a_feature_or_named(values: list[object]) -> None:
    ids = [f"i{n}" for n in range(len(values))]
    items = Items.of(pd.DataFrame({"item_id": ids, "title": ids, "odd": pd.Series(values)}))
    catalogue = Catalogue(items)
    used = {"odd", "odd_affinity"} & set(catalogue.names)
    assert len(used) + len(catalogue.columns.unused) == 1
    past, none = Past.of([()], items), np.zeros(len(ids), np.int64)
    asked = np.arange(len(ids), dtype=np.int32)
    found = catalogue.features(past, none, asked, Met.of(past, none, asked, 5), None)
    assert found.shape == (len(ids), len(catalogue.names))
    assert not np.isinf(found).any()
    assert Columns.parse({**vars(catalogue.columns)}) == replace(catalogue.columns)
