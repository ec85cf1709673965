"""The recommender learns a small shop, explains itself, takes in what is new, and comes back from the store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.recommender.ablation import Ablation
from apps.recommender.candidates import Candidates
from apps.recommender.events import Event, Events
from apps.recommender.items import Items
from apps.recommender.metrics import Ranking
from apps.recommender.ranker import Recommender
from apps.recommender.settings import Settings
from apps.recommender.training import Training
from engine import Progress, Store
from engine.errors import InputError, StoreError

ALL = [f"{taste}-{number}" for taste in range(4) for number in range(12)]


def ranked(recommender: Recommender, user: str, **options: object) -> list[str]:
    return [one.item_id for one in recommender.rank(user, ALL, **options)]  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _home(session_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_HOME", str(session_home))


def test_a_user_is_shown_what_fits_their_taste(recommender: Recommender) -> None:
    right = [
        sum(item.startswith(f"{user % 4}-") for item in ranked(recommender, f"u{user}", k=3)) for user in range(40)
    ]
    assert np.mean(right) > 2.2, "by chance 0.75 of three"


def test_contributions_and_base_add_up_to_the_margin_of_each_behaviour(recommender: Recommender) -> None:
    for one in recommender.rank("u3", ALL, explain=True):
        assert set(one.margins) == {"click", "purchase"} == set(one.contributions)
        for name, margin in one.margins.items():
            assert abs(sum(one.contributions[name].values()) - margin) < 1e-6
            assert 0 <= one.probabilities[name] <= 1


def test_the_score_is_the_value_weighted_sum_of_the_probabilities(recommender: Recommender) -> None:
    for one in recommender.rank("u3", ALL):
        assert one.score == pytest.approx(one.probabilities["click"] + 10 * one.probabilities["purchase"])
    clicks = recommender.rank("u3", ALL, values={"click": 1.0})
    assert [one.score for one in clicks] == [one.probabilities["click"] for one in clicks]
    with pytest.raises(InputError, match="share: no such behaviour"):
        recommender.rank("u3", ALL, values={"share": 1.0})


def test_a_score_depends_neither_on_other_candidates_nor_on_other_users(recommender: Recommender) -> None:
    table = recommender.score(["u1", "nobody", "u2"], ALL).set_index(["user_id", "item_id"])["score"]
    for user in ("u1", "nobody", "u2"):
        alone = recommender.score([user], [[ALL[7]]])["score"].iloc[0]
        assert table[(user, ALL[7])] == pytest.approx(alone, abs=1e-9)
        assert {one.item_id: one.score for one in recommender.rank(user, ALL)}[ALL[7]] == pytest.approx(alone, abs=1e-9)


def test_the_same_data_and_seed_give_the_same_lists(
    recommender: Recommender, shop: tuple[Items, Events], shop_settings: Settings
) -> None:
    again = Recommender.fit(*shop, settings=shop_settings)
    assert [again.rank(f"u{user}", ALL) for user in range(5)] == [
        recommender.rank(f"u{user}", ALL) for user in range(5)
    ]


def test_a_stored_bundle_ranks_as_it_did_and_a_damaged_one_says_so(recommender: Recommender) -> None:
    saved = recommender.save("shop")
    loaded = Recommender.load("shop")
    assert loaded.version == saved.version
    shown = datetime(2026, 3, 1, tzinfo=UTC)  # without it an item's age is NaN, which equals nothing
    assert loaded.rank("u5", ALL, explain=True, as_of=shown) == recommender.rank("u5", ALL, explain=True, as_of=shown)
    assert loaded.features.all == recommender.features.all
    version = Store().get(saved.version)
    assert Store().verify(version) == []
    (version.folder / "fusion.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match="unreadable"):
        Recommender.load(saved.version)


def test_a_new_item_is_rankable_at_once_by_its_text(recommender: Recommender) -> None:
    row = {"item_id": "new", "title": "bank profit rises 99", "category": "bank profit rises", "price": 9.0}
    new = Items.of(pd.DataFrame([{**row, "published": "2026-01-01T00:00:00Z"}]))
    grown = recommender.add_items(new)
    places = {one.item_id: one.rank for one in grown.rank("u1", [*ALL, "new"])}
    others = [rank for item, rank in places.items() if item[0] in "023"]
    assert places["new"] < np.median(others)
    # Sums over another number of rows may end otherwise in their last bits, and fall on the other side of a split.
    before, after = ({one.item_id: one.score for one in each.rank("u1", ALL)} for each in (recommender, grown))
    assert np.corrcoef([before[item] for item in ALL], [after[item] for item in ALL])[0, 1] > 0.99
    with pytest.raises(InputError, match="'new' is not in the catalogue"):
        recommender.rank("u1", ["new"])


def test_events_since_count_at_once(recommender: Recommender) -> None:
    when = "2026-03-01T00:00:00Z"
    rows = [{"user_id": "fresh", "item_id": item, "datetime": when} for item in ("2-1", "2-2", "2-3")]
    later = recommender.partial_fit(Events.of(pd.DataFrame(rows)))
    assert ranked(recommender, "fresh") == ranked(recommender, "nobody")
    assert sum(item.startswith("2-") for item in ranked(later, "fresh", k=3)) == 3
    assert ranked(later, "fresh") == [one.item_id for one in later.rank(later.events.history("fresh"), ALL)], (
        "a history given outright is as good as a known user"
    )


def test_what_cannot_be_ranked_is_told(recommender: Recommender) -> None:
    assert recommender.rank("u1", []) == ()
    assert len(recommender.rank("u1", ["0-1", "0-1", "0-2"])) == 2
    assert len(recommender.rank("nobody", ALL)) == len(ALL)
    with pytest.raises(InputError, match="after 2026-01-01"):
        recommender.rank("u1", ALL, as_of=datetime(2026, 1, 1, tzinfo=UTC))
    unknown = (Event("gone"), Event("0-1"))
    assert recommender.rank(unknown, ALL) == recommender.rank(unknown[1:], ALL), "what left the catalogue says nothing"
    with pytest.raises(InputError, match="2 users but 1 lists"):
        recommender.score(["u1", "u2"], [["0-1"]])


def test_events_without_times_are_learnt_from_each_users_last(shop_settings: Settings) -> None:
    from tests.recommender.conftest import shop_events, shop_items

    quick = shop_settings.model_copy(update={"sequence": shop_settings.sequence.model_copy(update={"epochs": 0})})
    found = Recommender.fit(shop_items(), shop_events(timed=False), settings=quick)
    assert not any(feature.name.startswith("sequence") for feature in found.features.all)
    assert sum(item.startswith("2-") for item in ranked(found, "u2", k=3)) >= 2


def test_too_little_to_learn_from_is_told(shop: tuple[Items, Events], shop_settings: Settings) -> None:
    one = Events.of(pd.DataFrame([{"user_id": "u", "item_id": "0-1"}]))
    with pytest.raises(InputError, match="too few"):
        Recommender.fit(shop[0], one, settings=shop_settings)
    with pytest.raises(InputError, match="no event of share"):
        Recommender.fit(*shop, settings=shop_settings.model_copy(update={"values": {"share": 1.0}}))


def test_the_whole_beats_its_parts_on_what_came_after(shop: tuple[Items, Events], shop_settings: Settings) -> None:
    items, events = shop
    last = events.frame.groupby("user_id").tail(1)
    before = Events.of(events.frame.drop(last.index))
    training = Training.of(items, before, shop_settings, Progress(quiet=True))
    ablation = Ablation(training, Recommender.learnt(training))
    lists = Candidates.of(
        (user, ALL, [float(item == target) for item in ALL])
        for user, target in zip(last["user_id"], last["item_id"], strict=True)
    )
    found = {name: Ranking.of(lists, score(lists)).ndcg(10).mean() for name, score in ablation.scores().items()}
    assert list(found) == ["popularity", "text", "sequence", "behaviour", "fused"]
    assert found["fused"] > 0.45
    assert found["fused"] > 2 * found["popularity"]
    rows = ablation.recommender.score(lists.user_ids[:3].tolist(), ALL)["score"]
    assert rows.to_numpy() == pytest.approx(ablation.scores()["fused"](lists)[: len(rows)], abs=1e-9)
