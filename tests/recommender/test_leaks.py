"""Leaks: each of the six kinds planted and refused, and an honest run let through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from apps.recommender import leaks
from apps.recommender.candidates import Candidates
from apps.recommender.events import Event, Events, History
from apps.recommender.items import Items
from engine.errors import InputError, LeakError

START = datetime(2026, 3, 2, tzinfo=UTC)
TEST = START + timedelta(days=20)
ITEMS = [f"i{n}" for n in range(12)]


@pytest.fixture(scope="module")
def events() -> Events:
    random = np.random.default_rng(5)
    days = random.random(900) * 25
    return Events.of(
        pd.DataFrame(
            {
                "user_id": [f"u{n}" for n in random.integers(0, 40, 900)],
                "item_id": [ITEMS[n] for n in random.integers(0, 12, 900)],
                "datetime": pd.to_datetime([START + timedelta(days=day) for day in days], utc=True),
            }
        )
    )


@pytest.fixture(scope="module")
def items() -> Items:
    published = [START + timedelta(days=n) for n in range(12)]
    return Items.of(pd.DataFrame({"item_id": ITEMS, "title": ITEMS, "published": published}))


@pytest.fixture(scope="module")
def candidates(events: Events) -> Candidates:
    """What each test event took beside three others, shown when it was taken."""
    asked = events.frame[events.frame["datetime"] >= pd.Timestamp(TEST)]
    moments = asked["datetime"].dt.tz_convert(None).to_numpy("datetime64[us]")
    others = [ITEMS[n % 12 : n % 12 + 3] for n in range(len(asked))]
    return Candidates.beside(list(asked["user_id"]), list(asked["item_id"]), others, moments)


@pytest.fixture(scope="module")
def histories(events: Events, candidates: Candidates) -> list[History]:
    assert candidates.as_of is not None
    moments = [moment.item().replace(tzinfo=UTC) for moment in candidates.as_of]
    return [
        tuple(event for event in events.history(user) if event.time and event.time < moment)
        for user, moment in zip(candidates.user_ids, moments, strict=True)
    ]


@pytest.fixture(scope="module")
def features(candidates: Candidates) -> pd.DataFrame:
    """Honest ones: noise, and a strong hint."""
    random = np.random.default_rng(6)
    noise = random.random(len(candidates.gains))
    return pd.DataFrame({"noise": noise, "hint": candidates.gains + random.normal(0, 0.7, len(noise))})


def popularity(events: Events) -> pd.DataFrame:
    counts = events.frame["item_id"].value_counts()
    return pd.DataFrame(
        {"popularity": counts.reindex(ITEMS).fillna(0).to_numpy(), "length": [len(one) for one in ITEMS]}
    )


def test_an_honest_run_is_let_through(events, items, candidates, histories, features):
    found = [
        *leaks.in_histories(candidates, histories, events),
        *leaks.in_candidates(candidates, items),
        *leaks.in_features(features, candidates),
        *leaks.in_popularity(lambda given: popularity(given.before(TEST)), events, TEST),
        *leaks.in_statistics(lambda given: dict(popularity(given.before(TEST))), events, events.before(TEST)),
        *leaks.stamped({"popularity": TEST}, TEST),
    ]
    assert found == []
    leaks.refuse(found)


def refused(kind: str, found: list[leaks.Leak], *told: str) -> bool:
    assert {leak.kind for leak in found} == {kind}
    with pytest.raises(LeakError, match=kind) as fault:
        leaks.refuse(found)
    return all(words in str(fault.value) for words in told)


def test_popularity_of_the_future_is_refused(events):
    assert refused(leaks.FUTURE_POPULARITY, leaks.in_popularity(popularity, events, TEST), "'popularity' is another")


def test_popularity_of_a_later_moment_is_refused(events):
    later = TEST + timedelta(hours=1)
    assert refused(
        leaks.FUTURE_POPULARITY, leaks.stamped({"recent": later, "all": TEST}, TEST), "'recent' counts events up to"
    )


def test_a_history_that_goes_on_after_the_list_was_shown_is_refused(events, candidates, histories):
    assert candidates.as_of is not None
    after = candidates.as_of[3].item().replace(tzinfo=UTC) + timedelta(minutes=1)
    planted = [*histories]
    planted[3] = (*histories[3], Event("i0", time=after))
    assert refused(leaks.FUTURE_HISTORY, leaks.in_histories(candidates, planted, events), "1 histories", "list 3")


def test_a_history_of_the_future_whose_times_were_lost_is_refused(events, candidates, histories):
    other = next(item for item in ITEMS if item not in candidates.item_ids[candidates.rows(0)])
    planted = [(*histories[0], *[Event(other)] * 50), *histories[1:]]
    assert refused(leaks.FUTURE_HISTORY, leaks.in_histories(candidates, planted, events), "list 0", other)


def test_a_target_inside_its_history_is_refused_though_its_time_was_moved(events, candidates, histories):
    rows = candidates.rows(5)
    target = candidates.item_ids[rows][candidates.gains[rows] > 0][0]
    planted = [*histories]
    planted[5] = (Event(target, time=START), *histories[5])
    assert refused(leaks.TARGET_IN_HISTORY, leaks.in_histories(candidates, planted, events), "list 5 shown at", target)


def test_without_times_the_history_must_be_what_may_be_learnt_from():
    learnt = Events.of(pd.DataFrame({"user_id": ["a", "a", "b"], "item_id": ["x", "y", "x"]}))
    candidates = Candidates.beside(["a", "b"], ["y", "z"], [["q"], ["q"]])
    honest: list[History] = [(Event("x"), Event("y")), (Event("x"),)]  # a takes y again
    assert leaks.in_histories(candidates, honest, learnt) == []
    planted: list[History] = [honest[0], (Event("x"), Event("z"))]
    assert refused(leaks.TARGET_IN_HISTORY, leaks.in_histories(candidates, planted, learnt), "user b, list 1: z")
    planted = [honest[0], (Event("x"), Event("w"))]
    assert refused(leaks.FUTURE_HISTORY, leaks.in_histories(candidates, planted, learnt), "user b, list 1: w")


def test_an_item_published_after_its_list_was_shown_is_refused(candidates, items):
    frame = items.frame.copy()
    frame.loc["i4", "published"] = pd.Timestamp(TEST + timedelta(days=3))
    found = leaks.in_candidates(candidates, Items(frame))
    assert refused(leaks.FUTURE_ITEM, found, "candidates were published after", "i4 of 2026-03-25")


@pytest.mark.parametrize(
    "leak",
    [
        lambda gains: gains,
        lambda gains: -3 * gains + 1,
        lambda gains: np.exp(gains),
        lambda gains: gains + np.random.default_rng(1).uniform(0, 0.4, len(gains)),
        lambda gains: np.where(gains > 0, np.nan, 0.5),
        lambda gains: gains * 1e-12,
    ],
    ids=["copy", "falling", "rising", "noisy", "missing", "tiny"],
)
def test_a_label_among_the_features_is_refused_in_whatever_form(candidates, features, leak):
    planted = features.assign(dwell=leak(candidates.gains))
    assert refused(leaks.LABEL, leaks.in_features(planted, candidates), "'dwell'")


def test_a_label_under_an_offset_of_each_list_is_refused(candidates, features):
    offsets = np.random.default_rng(2).normal(0, 100, len(candidates))[candidates.lists]
    assert refused(leaks.LABEL, leaks.in_features(features.assign(x=candidates.gains + offsets), candidates), "'x'")


def test_too_few_lists_to_tell_a_label_are_not_passed_over(candidates, features):
    with pytest.raises(InputError, match="takes 30"):
        leaks.in_features(features[candidates.lists < 5], candidates.subset(range(5)))


def test_statistics_of_test_users_are_refused(events):
    def segments(given: Events) -> dict[str, np.ndarray]:
        activity = given.frame.groupby("user_id").size()
        return {"mean_activity": np.array([activity.mean()]), "items": np.array([12.0])}

    learnt = Events(events.frame[events.frame["user_id"] > "u2"].reset_index(drop=True))
    assert refused(leaks.TEST_USERS, leaks.in_statistics(segments, events, learnt), "'mean_activity' is another")


def test_statistics_that_know_more_users_are_refused(events):
    def users(given: Events) -> dict[str, np.ndarray]:
        return {"usual_price": given.frame.groupby("user_id")["weight"].mean().to_numpy()}

    learnt = Events(events.frame[events.frame["user_id"] > "u2"].reset_index(drop=True))
    assert refused(leaks.TEST_USERS, leaks.in_statistics(users, events, learnt), "'usual_price'")


def test_taking_nothing_away_proves_nothing(events):
    with pytest.raises(InputError, match="none to take"):
        leaks.in_popularity(popularity, events, START + timedelta(days=99))


def test_all_leaks_are_named_at_once():
    with pytest.raises(LeakError) as fault:
        leaks.refuse([leaks.Leak(kind, "here") for kind in leaks.KINDS])
    assert all(f"{kind}: here" in str(fault.value) for kind in leaks.KINDS)
