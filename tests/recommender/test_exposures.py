"""What was shown: what followed it, what an item's places bring, and lists that a booster learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.recommender.events import Events
from apps.recommender.exposures import HELD_BACK, Exposures, Shown
from apps.recommender.fusion import Fusion, Lists
from apps.recommender.items import Items
from apps.recommender.ranker import Recommender
from apps.recommender.settings import Booster, Settings
from apps.recommender.training import Training
from engine import Progress
from engine.errors import DataError, InputError

START = pd.Timestamp("2026-02-01T08:00:00Z")
ITEMS = Items.of(pd.DataFrame({"item_id": list("abcd"), "title": list("abcd")}))


def shown(*lists: tuple[str, str, int]) -> Exposures:
    """Lists as (user, items from the top, hours since the start)."""
    rows = [
        (f"l{number}", user, item, place, START + pd.Timedelta(hours=hours))
        for number, (user, items, hours) in enumerate(lists)
        for place, item in enumerate(items, 1)
    ]
    return Exposures.of(pd.DataFrame(rows, columns=["list_id", "user_id", "item_id", "position", "datetime"]))


def events(*rows: tuple[str, str, str, float]) -> Events:
    """Events as (user, item, behaviour, hours since the start)."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "event", "hours"])
    return Events.of(frame.assign(datetime=START + pd.to_timedelta(frame["hours"], unit="h")))


def test_an_event_is_put_down_to_the_last_time_it_was_shown_and_to_no_other() -> None:
    seen = shown(("u", "ab", 0), ("u", "ba", 2), ("v", "ab", 2))
    found = seen.labels(events(("u", "a", "click", 1.0), ("u", "b", "click", 3.0), ("v", "a", "buy", 40.0)))
    assert set(found) == {"click"}, "what followed after more than a day followed something else"
    rows = [f"{user}{item}" for user, item in zip(seen.frame["user_id"], seen.frame["item_id"], strict=True)]
    assert [row for row, label in zip(rows, found["click"], strict=True) if label] == ["ua", "ub"]
    assert found["click"].tolist()[:2] == [1, 0]
    with pytest.raises(InputError, match="events with times"):
        seen.labels(Events.of(pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})))


def test_an_item_that_brings_more_than_its_places_has_a_higher_rate() -> None:
    seen = shown(*((f"u{number}", "ab" if number % 2 else "ba", number) for number in range(40)))
    rates = seen.rates(events(*((f"u{number}", "a", "click", number + 0.1) for number in range(40))), ITEMS)
    assert rates[0] == pytest.approx((40 + HELD_BACK) / (20 + HELD_BACK))
    assert rates[1] == pytest.approx(HELD_BACK / (20 + HELD_BACK))
    assert rates[2:].tolist() == [1, 1], "never shown: as usual"


def test_a_shown_list_knows_only_what_came_before_it() -> None:
    past = events(("u", "a", "click", 0.5), ("u", "b", "click", 2.0), ("v", "c", "click", 1.0))
    lists = Shown.of(shown(("u", "ab", 0), ("u", "ba", 2), ("w", "xd", 3), ("u", "cd", 9)), past, ITEMS, most=9, seed=1)
    histories = [lists.past.items[a:b].tolist() for a, b in zip(lists.past.starts, lists.past.starts[1:], strict=False)]
    assert histories == [[], [0], [], [0, 1]], "an event at the moment of the list came after it"
    assert lists.users.tolist() == [0, 0, 2, 0]
    assert lists.candidates.tolist() == [0, 1, 1, 0, 3, 2, 3], "x is in no catalogue"
    assert lists.positions.tolist() == [1, 2, 1, 2, 2, 1, 2]
    told = lists.lists(lists.candidates[:, None].astype(np.float32))
    assert told.matrix.ravel().tolist() == [1, 0, 0, 1, 3, 3, 2], "last place first, so that no tie helps the booster"
    assert told.sizes.tolist() == [2, 2, 1, 2]


def test_a_probability_is_that_of_the_first_place_unless_another_is_named() -> None:
    """Users look at the first place, and ever less at the others; the first feature is what the shop put first."""
    random = np.random.default_rng(3)

    def lists(count: int) -> Lists:
        liked = random.random((count, 4))
        pushed = -np.sort(-random.random((count, 4)), axis=1)
        looked = np.where(random.random((count, 4)) < np.array([1.0, 0.4, 0.15, 0.05]), 1.0, 0.0)
        clicked = (random.random((count, 4)) < 0.6 * liked**3) * looked
        matrix = np.stack([pushed, liked], axis=2)[:, ::-1].reshape(-1, 2).astype(np.float32)
        positions = np.tile([4, 3, 2, 1], count)
        return Lists(matrix, np.full(count, 4), {"click": clicked[:, ::-1].ravel().astype(np.int8)}, positions)

    learn, held = lists(1500), lists(500)
    booster = Booster(rounds=20, threads=1)
    fusion = Fusion.fit(learn, held, ["pushed", "liked"], {"click": 1.0}, booster, seed=1)
    assert fusion.curves["click"].place < -0.5
    margins = fusion.margins(held.matrix)
    first, asked = (fusion.probabilities(margins, at)["click"] for at in (1, held.positions))
    assert (first >= asked).all()
    assert abs(asked.mean() - held.labels["click"].mean()) < 0.01


def test_exposures_train_a_recommender_whose_probabilities_are_honest(
    shop: tuple[Items, Events], shop_settings: Settings, session_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEL_HOME", str(session_home))
    items, whole = shop
    random, drawn = np.random.default_rng(8), whole.frame.sample(frac=0.4, random_state=2)
    lists = [
        (user, random.permutation([item, *random.choice(items.ids, 7, replace=False)]), pd.Timestamp(when))
        for user, item, when in drawn[["user_id", "item_id", "datetime"]].to_numpy(object)
    ]
    rows = [
        (f"l{number}", user, item, place, when - pd.Timedelta(seconds=5))
        for number, (user, chosen, when) in enumerate(lists)
        for place, item in enumerate(dict.fromkeys(chosen), 1)
    ]
    seen = Exposures.of(pd.DataFrame(rows, columns=["list_id", "user_id", "item_id", "position", "datetime"]))
    given = shop_settings.model_dump()
    given["sequence"]["epochs"], given["text"]["epochs"], given["booster"]["rounds"] = 0, 1, 8
    quick = Settings.parse({**given, "newcomers": 0.0})
    training = Training.of(items, whole, quick, Progress(quiet=True), seen)
    assert training.held.positions is not None
    assert "popularity.rate" in training.features.names
    found = Recommender.learnt(training)
    said = found.fusion.probabilities(found.fusion.margins(training.held.matrix), training.held.positions)
    for name, label in training.held.labels.items():
        assert abs(said[name].mean() - label.mean()) < 0.02
    saved = found.save("shown")
    again = Recommender.load(saved.version)
    asked = items.ids[:12].tolist()
    assert again.score(["u1"], asked).equals(found.score(["u1"], asked))


def test_rows_that_say_nothing_are_named() -> None:
    frame = shown(("u", "ab", 0)).frame
    with pytest.raises(DataError, match=r"row 2, field 'position': no place"):
        Exposures.of(frame.assign(position=[1, 0]))
    with pytest.raises(DataError, match="no column 'position'"):
        Exposures.of(frame.drop(columns="position"))
    with pytest.raises(DataError, match=r"row 1, field 'datetime'"):
        Exposures.of(frame.assign(datetime=["soon", str(START)]))
