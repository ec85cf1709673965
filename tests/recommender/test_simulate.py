"""The simulated shop does what its formulas say, and its truth can be trusted."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recommender.exploration import draw
from apps.recommender.simulate import Simulation, simulate, write
from apps.recommender.truth import EVENTS, Truth
from apps.recommender.world import END, World
from engine.errors import InputError
from engine.resources import packaged

WEEK = timedelta(weeks=1)


@pytest.fixture(scope="module")
def shop() -> Simulation:
    return simulate(World(users=150, weeks=4, seed=5))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=5), st.integers(0, 99))
def test_a_drawn_lists_propensity_is_the_product_of_softmaxes_among_those_left(logits: list[float], seed: int) -> None:
    raised = np.exp(logits)
    places, chances = draw(np.array([logits]), len(logits), np.random.default_rng(seed))
    left = raised.sum()
    for place, chance in zip(places[0], chances[0], strict=True):
        assert chance == pytest.approx(raised[place] / left)
        left -= raised[place]


def test_lists_are_drawn_as_often_as_their_propensities_say() -> None:
    logits = np.array([0.0, 1.0, -0.5])
    draws = 40_000
    places, chances = draw(np.tile(logits, (draws, 1)), 2, np.random.default_rng(0))
    told = {tuple(row): chance for row, chance in zip(places.tolist(), chances.prod(axis=1), strict=True)}
    assert set(told) == set(permutations(range(3), 2))
    assert sum(told.values()) == pytest.approx(1)
    for pair, chance in told.items():
        drawn = (places == pair).all(axis=1).mean()
        assert abs(drawn - chance) < 4.5 * np.sqrt(chance * (1 - chance) / draws)


def test_logged_propensities_follow_from_the_clicks_of_the_weeks_before(shop: Simulation) -> None:
    world, items = shop.truth.world, shop.truth.item_ids
    clicks = shop.events[shop.events["event"] == "click"]
    popularity = pd.Series(0.0, index=items)
    for week in range(world.weeks):
        start = world.start + week * WEEK
        score = np.exp(world.popularity * np.log1p(popularity))
        now = shop.lists["datetime"].between(start, start + WEEK, inclusive="left").to_numpy()
        total = (
            score.reindex(np.concatenate(list(shop.lists["candidates"][now])))
            .to_numpy()
            .reshape(-1, world.candidates)
            .sum(axis=1)
        )
        rows = np.repeat(now, world.shown)
        chosen = score.reindex(shop.exposures["item_id"][rows]).to_numpy().reshape(-1, world.shown)
        above = np.cumsum(chosen, axis=1) - chosen
        told = shop.exposures["propensity"][rows].to_numpy().reshape(-1, world.shown)
        assert told == pytest.approx(chosen / (total[:, None] - above))
        new = clicks[clicks["datetime"].between(start, start + WEEK, inclusive="left")]["item_id"]
        popularity = popularity / 2 + new.value_counts().reindex(items, fill_value=0)


@pytest.mark.parametrize("event", EVENTS)
def test_events_happen_as_often_as_the_truth_says(shop: Simulation, event: str) -> None:
    shown = shop.exposures
    chances = shop.truth.probabilities(
        list(shown["user_id"]), list(shown["item_id"]), shown["datetime"], event, positions=shown["position"].to_numpy()
    )
    found = shop.events[shop.events["event"] == event][["list_id", "item_id"]].assign(happened=1.0)
    happened = shown.merge(found, on=["list_id", "item_id"], how="left")["happened"].fillna(0).to_numpy()
    assert happened.sum() == len(found)
    for part in (np.argsort(chances), np.argsort(shown["position"].to_numpy(), kind="stable")):
        for rows in np.array_split(part, 8):
            off = happened[rows].sum() - chances[rows].sum()
            assert abs(off) < 4.5 * np.sqrt((chances[rows] * (1 - chances[rows])).sum()) + 1e-9


def test_what_is_shown_is_for_sale_not_bought_before_and_one_of_the_candidates(shop: Simulation) -> None:
    shown = shop.exposures.merge(shop.lists[["list_id", "candidates"]], on="list_id")
    assert all(item in candidates for item, candidates in zip(shown["item_id"], shown["candidates"], strict=True))
    assert not shown.duplicated(["list_id", "item_id"]).any()
    assert (shop.exposures.groupby("list_id").size() == shop.truth.world.shown).all()
    published = shop.truth.items.set_index("item_id")["published"]
    assert (published[shown["item_id"]].to_numpy() <= shown["datetime"].to_numpy()).all()
    bought = shop.events[shop.events["event"] == "purchase"]
    again = bought.merge(shown, on=["user_id", "item_id"], suffixes=("_bought", ""))
    assert len(again)
    assert ((again["datetime"] - again["datetime_bought"]) < WEEK).all()


def test_every_user_comes_and_all_happens_within_the_weeks(shop: Simulation) -> None:
    truth = shop.truth
    first = shop.lists.groupby("user_id")["datetime"].min()
    assert set(first.index) == set(truth.user_ids) == set(shop.events["user_id"])
    weeks = np.array([(time - truth.world.start) // WEEK for time in first[truth.user_ids]])
    assert (weeks == truth.joined).all()
    assert (truth.joined > 0).any()
    assert shop.events["datetime"].min() >= truth.world.start
    assert shop.events["datetime"].max() < END
    assert shop.events["datetime"].is_monotonic_increasing


def test_tastes_drift_unless_they_persist() -> None:
    def likeness(truth: Truth, week: int) -> float:
        first, then = truth.tastes[:, 0], truth.tastes[:, week]
        return float(((first * then).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(then, axis=1)).mean())

    drifting = Truth.of(World(users=300, weeks=12))
    assert 1 > likeness(drifting, 1) > likeness(drifting, 6) > likeness(drifting, 11) > 0.5
    assert likeness(Truth.of(World(users=300, weeks=12, persistence=1.0)), 11) == pytest.approx(1)
    assert drifting.tastes.sum(axis=2) == pytest.approx(1)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    def digest(name: str, seed: int, kind: str) -> list[str]:
        write(World(users=20, weeks=2, seed=seed), tmp_path / name, kind=kind)
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((tmp_path / name).iterdir())]

    for kind in ("parquet", "jsonl"):
        once = digest(f"once-{kind}", 3, kind)
        assert once == digest(f"again-{kind}", 3, kind)
        assert not set(once) & set(digest(f"other-{kind}", 4, kind))


def test_a_written_folder_holds_the_log_and_names_its_truth(tmp_path: Path) -> None:
    world = World(users=20, weeks=2)
    counts = write(world, tmp_path / "shop")
    assert World.read(tmp_path / "shop") == world
    whole = simulate(world)
    for name, count in counts.items():
        read = pd.read_parquet(tmp_path / "shop" / f"{name}.parquet")
        assert len(read) == len(getattr(whole, name)) == count
        if name != "lists":
            pd.testing.assert_frame_equal(read, getattr(whole, name))
    with pytest.raises(InputError, match="something stands there already"):
        write(world, tmp_path / "shop")


def test_nothing_is_left_of_a_run_that_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="simulate fewer weeks"):
        write(World(users=5, weeks=80), tmp_path / "shop")
    assert list(tmp_path.glob("*shop*")) == []


def test_the_oracle_earns_more_than_the_policy_whose_reward_is_as_told(shop: Simulation) -> None:
    values = {"click": 1.0, "purchase": 10.0}
    told = shop.truth.expected_reward(shop.exposures, values)
    earned = shop.events["event"].map(values).fillna(0).sum() / len(shop.lists)
    assert earned == pytest.approx(told, rel=0.06)
    best = [
        {"list_id": name, "user_id": user, "item_id": item, "datetime": time, "position": place}
        for name, user, time, candidates in shop.lists.head(200).itertuples(index=False)
        for place, item in enumerate(shop.truth.oracle(user, list(candidates), time, values)[:10], 1)
    ]
    assert shop.truth.expected_reward(pd.DataFrame(best), values) > 1.5 * told
    once = pd.DataFrame(best).assign(share=0.5)
    assert shop.truth.expected_reward(once) == pytest.approx(shop.truth.expected_reward(pd.DataFrame(best)) / 2)


def test_what_a_world_does_not_have_is_said() -> None:
    truth = Truth.of(World(users=5, weeks=2))
    now = datetime(2026, 2, 25, tzinfo=UTC)
    seen = truth.probability("u0001", "boo-001", now, "click")
    assert truth.probability("u0001", "boo-001", now, "click", position=4) == pytest.approx(seen / 2)
    for user, item, time, event, message in (
        ("u9", "boo-001", now, "click", "user 'u9'"),
        ("u0001", "b", now, "click", "item 'b'"),
        ("u0001", "boo-001", now, "like", "event 'like'"),
        ("u0001", "boo-001", END, "click", "outside this world"),
    ):
        with pytest.raises(InputError, match=message):
            truth.probability(user, item, time, event)
    with pytest.raises(InputError, match="raise candidates"):
        World(shown=50)


def test_the_catalogue_is_what_its_card_says() -> None:
    folder = packaged() / "data" / "catalog"
    items, meanings, tastes = (
        [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in ("items", "meanings", "tastes")
    )
    assert len(items) == 633
    assert [row["item_id"] for row in items] == [row["item_id"] for row in meanings]
    assert all(row["price"] > 0 and row["description"] and row["tags"] for row in items)
    assert sum(not row["title"].isascii() and row["title"][0] >= "一" for row in items) == 20
    assert len({row["seller"] for row in items}) == 44
    assert len({theme for row in meanings for theme in row["meaning"]}) == 24
    assert len(tastes) == 14


def test_a_catalogue_without_meanings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Truth.of(World(), tmp_path)
    for name in ("items", "tastes"):
        text = (packaged() / "data" / "catalog" / f"{name}.jsonl").read_text(encoding="utf-8")
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "meanings.jsonl").write_text('{"item_id": "boo-001", "meaning": {"wonder": 1}}\n', encoding="utf-8")
    with pytest.raises(InputError, match="not in both"):
        Truth.of(World(), tmp_path)
