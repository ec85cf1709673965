"""Each of the six kinds of leaks, planted in files or in what is evaluated, fails the run; clean data pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommender import gate, leaks, readers
from apps.recommender.candidates import Candidates
from apps.recommender.evaluate import Known, evaluate
from apps.recommender.events import Event, Events
from apps.recommender.items import Items
from apps.recommender.ranker import Recommender
from apps.recommender.settings import Settings
from apps.recommender.splits import Protocol
from apps.recommender.steps import Steps
from engine.errors import DataError, LeakError

COUNT = 60
IDS = [f"i{n}" for n in range(COUNT)]
START = pd.Timestamp("2026-01-01", tz="UTC")


def shop(seed: int = 7, rows: int = 3000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Items and events of fifty days, in the last ten of which users take other things."""
    random = np.random.default_rng(seed)
    days = np.sort(random.random(rows) * 50)
    taste, last = random.dirichlet(np.ones(COUNT)), random.dirichlet(np.ones(COUNT))
    items = np.where(days < 40, random.choice(COUNT, rows, p=taste), random.choice(COUNT, rows, p=last))
    events = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in random.integers(0, 150, rows)],
            "item_id": [IDS[n] for n in items],
            "weight": random.integers(1, 6, rows).astype(float),
            "datetime": START + pd.to_timedelta(days, unit="D"),
        }
    )
    table = pd.DataFrame({"item_id": IDS, "title": [f"a thing {n}" for n in range(COUNT)]})
    return table.assign(price=random.random(COUNT), published=START, brand=[f"b{n % 7}" for n in range(COUNT)]), events


def per_item(events: pd.DataFrame, how: Callable[[Any], Any]) -> Any:
    return how(events.groupby("item_id")["weight"]).reindex(IDS).fillna(0.0).to_numpy()


def fit(folder: Path, items: pd.DataFrame, events: pd.DataFrame, base: Settings) -> Recommender:
    items.to_json(folder / "items.jsonl", orient="records", lines=True, date_format="iso")
    events.to_parquet(folder / "events.parquet")
    data = readers.read(folder)
    assert data.items is not None
    return Recommender.fit(data.items, data.events, settings=base)


def later(events: pd.DataFrame) -> pd.Series[bool]:
    """What the booster learns from: `step_share` of the events."""
    return events["datetime"] >= events["datetime"].quantile(0.7)


def told_what_is_to_come(items: pd.DataFrame, events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """From a moment on everybody takes one thing, and a column says which."""
    events = events.assign(item_id=events["item_id"].where(~later(events), "i9"))
    return items.assign(hit=np.where(items["item_id"] == "i9", "yes", "no")), events


def counted(items: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    return items.assign(sales=per_item(events, lambda one: one.size()))


def rated(items: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    return items.assign(rating=per_item(events, lambda one: one.mean()))


def one_published_late(items: pd.DataFrame) -> pd.DataFrame:
    return items.assign(published=items["published"] + pd.to_timedelta(45 * (items["item_id"] == "i3"), unit="D"))


@pytest.mark.parametrize(
    ("plant", "kind", "told"),
    [
        (lambda items, events: (counted(items, events), events), leaks.FUTURE_POPULARITY,
         "column 'sales' of the items orders them as events of an item, all counted"),
        (lambda items, events: (counted(items, events[later(events)]), events), leaks.FUTURE_POPULARITY,
         "column 'sales' of the items orders them as events of an item, later ones alone"),
        (lambda items, events: (items.assign(sales=items["price"], sales_as_of="2026-03-01T00:00:00Z"), events),
         leaks.FUTURE_POPULARITY, "'sales' counts events up to 2026-03-01"),
        (lambda items, events: (rated(items, events), events), leaks.TEST_USERS,
         "column 'rating' of the items orders them as the mean weight"),
        (lambda items, events: (one_published_late(items), events), leaks.FUTURE_ITEM,
         "events are older than their item; i3 was taken"),
        (told_what_is_to_come, leaks.LABEL, "column 'hit="),
    ],
    ids=["counts", "later counts", "stamp", "ratings", "published", "label"],
)  # fmt: skip
def test_a_leak_in_the_files_fails_the_training(
    tmp_path: Path, home: Path, shop_settings: Settings, plant: Any, kind: str, told: str
) -> None:
    with pytest.raises(LeakError, match=kind) as fault:
        fit(tmp_path, *plant(*shop()), shop_settings)
    assert told in str(fault.value)
    assert any(way in str(fault.value) for way in ("leave the column out", "leave it out"))


def test_a_training_whose_parts_know_the_future_fails(home: Path) -> None:
    table, rows = shop()
    items, events = Items.of(table), Events.of(rows)
    steps = Steps.of(events, items, share=0.2, most=500, seed=1)
    gate.given(items, events, steps)
    late = replace(steps, past=replace(steps.past, times=steps.past.times + 86400.0 * 30))
    with pytest.raises(LeakError, match="stand in histories of lists shown before"):
        gate.given(items, events, late)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(100, 800), timed=st.booleans(), share=st.floats(0.05, 0.5))
def test_honest_data_are_never_refused(seed: int, rows: int, timed: bool, share: float) -> None:
    random = np.random.default_rng(seed)
    frame, table = shop(seed, rows)
    known = table[table["datetime"] < table["datetime"].quantile(1 - share)]
    frame = frame.assign(
        sales=per_item(known, lambda one: one.size()),
        sales_as_of=known["datetime"].max(),
        rating=per_item(known, lambda one: one.mean()),
        noise=random.normal(size=COUNT),
        gaps=np.where(random.random(COUNT) < 0.5, np.nan, random.random(COUNT)),
    )
    items = Items.of(frame)
    events = Events.of(table if timed else table.drop(columns="datetime"))
    gate.given(items, events, Steps.of(events, items, share=share, most=400, seed=seed))


def test_a_catalogue_most_of_which_nobody_takes_is_no_leak() -> None:
    table, events = shop()
    dead = pd.DataFrame({"item_id": [f"dead{n}" for n in range(60_000)], "title": "old", "published": START})
    items = Items.of(pd.concat([table.assign(on_sale=1.0), dead.assign(on_sale=0.0)]))
    found = Events.of(events)
    gate.given(items, found, Steps.of(found, items, share=0.2, most=300, seed=1))


class Asked:
    """What is asked of the shop's recommender: lists shown a week after its events end."""

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender
        users = [f"u{n}" for n in range(40)]
        self.moment = datetime(2026, 3, 1, tzinfo=UTC)
        moments = np.full(len(users), np.datetime64("2026-03-01", "us"))
        targets = [f"{n % 4}-{n % 12}" for n in range(40)]
        ids = list(recommender.items.ids)
        self.lists = Candidates.beside(users, targets, [ids[n : n + 8] for n in range(40)], moments)
        after = [(user, item, self.moment) for user, item in zip(users, targets, strict=True)]
        self.events = recommender.events.added(
            Events.of(pd.DataFrame(after, columns=["user_id", "item_id", "datetime"]))
        )
        self.later = self.moment + timedelta(hours=1)
        self.counts = self.events.frame["item_id"].value_counts().reindex(recommender.items.ids).to_numpy()
        self.histories = [recommender.events.history(user) for user in users]

    def evaluate(self, **changed: Any) -> None:
        known = Known(
            changed.get("learnt", self.recommender.events),
            changed.get("items", self.recommender.items),
            whole=changed.get("whole", self.events),
        )
        lists = changed.get("lists", self.lists)
        evaluate(
            {"noise": np.random.default_rng(1).random(len(lists.gains))},
            lists,
            Protocol("by time", "a few", 40, 40, ()),
            known,
            main="noise",
            histories=changed.get("histories", self.histories),
            features=changed.get("features", self.recommender.features),
        )


@pytest.fixture(scope="module")
def asked(recommender: Recommender) -> Asked:
    return Asked(recommender)


def with_items(asked: Asked, **columns: Any) -> dict[str, Any]:
    items = Items(asked.recommender.items.frame.assign(**columns))
    features = asked.recommender.features
    return {"items": items, "features": replace(features, catalogue=type(features.catalogue)(items))}


def test_a_clean_evaluation_is_let_through(asked: Asked) -> None:
    asked.evaluate()


@pytest.mark.parametrize(
    ("plant", "kind", "told"),
    [
        (lambda asked: {"lists": replace(asked.lists, as_of=asked.lists.as_of - np.timedelta64(25, "D"))},
         leaks.FUTURE_POPULARITY, "'popularity.all' counts events up to"),
        (lambda asked: {"learnt": asked.recommender.events.before(datetime(2026, 2, 8, tzinfo=UTC))},
         leaks.TEST_USERS, "'popularity' counts"),
        (lambda asked: {"histories": [(*one, Event("0-1", time=asked.later)) for one in asked.histories]},
         leaks.FUTURE_HISTORY, "user u0, list 0 shown at 2026-03-01"),
        (lambda asked: {"histories": [asked.events.history(str(user)) for user in asked.lists.user_ids]},
         leaks.TARGET_IN_HISTORY, "user u0"),
        (lambda asked: with_items(asked, published=pd.Timestamp("2026-03-05", tz="UTC")),
         leaks.FUTURE_ITEM, "candidates were published after"),
        (lambda asked: with_items(asked, sales=asked.counts),
         leaks.FUTURE_POPULARITY, "column 'sales'"),
        (lambda asked: with_items(asked, sales=1.0, sales_as_of=pd.Timestamp("2026-03-04", tz="UTC")),
         leaks.FUTURE_POPULARITY, "'sales' counts events up to 2026-03-04"),
    ],
    ids=["stamps", "test users", "history", "target", "item", "column", "stamped column"],
)  # fmt: skip
def test_a_leak_into_what_is_asked_fails_the_evaluation(asked: Asked, plant: Any, kind: str, told: str) -> None:
    with pytest.raises(LeakError, match=kind) as fault:
        asked.evaluate(**plant(asked))
    assert told in str(fault.value)


def test_a_label_among_the_columns_fails_the_evaluation(asked: Asked) -> None:
    ids = asked.recommender.items.ids
    others = [list(ids[n : n + 8]) for n in range(40)]
    lists = Candidates.beside([f"u{n}" for n in range(40)], ["0-1"] * 40, others, asked.lists.as_of)
    with pytest.raises(LeakError, match=leaks.LABEL):
        asked.evaluate(lists=lists, **with_items(asked, dwell=np.where(ids == "0-1", 9.0, 0.5)))


def test_a_stamp_without_its_column_is_told() -> None:
    with pytest.raises(DataError, match="'sales_as_of' says up to when 'sales' counts"):
        Items.of(pd.DataFrame({"item_id": ["a"], "sales_as_of": ["2026-01-01T00:00:00Z"]}))
    with pytest.raises(DataError, match="field 'sales_as_of': 'soon' is no time"):
        Items.of(pd.DataFrame({"item_id": ["a"], "sales": [1], "sales_as_of": ["soon"]}))
