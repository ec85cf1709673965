"""Listing: what a request asks of its list is kept, and every list adds up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.recommender.events import Event
from apps.recommender.explanation import reasons
from apps.recommender.items import Items
from apps.recommender.listing import Lister, Wish
from apps.recommender.ranker import Recommender
from apps.recommender.rules import Boost, Cap, Exclude, Match, Pin, Quota, parse
from apps.recommender.settings import Settings
from apps.recommender.training import Training
from engine.errors import InputError
from tests.recommender.conftest import TASTES

ALL = [f"{taste}-{number}" for taste in range(4) for number in range(12)]
matches = st.one_of(
    st.builds(Match, st.just("category"), st.sampled_from(TASTES)),
    st.builds(Match, st.just("item_id"), st.sampled_from(ALL)),
)
wishes = st.builds(
    Wish,
    k=st.one_of(st.none(), st.integers(1, 14)),
    values=st.one_of(st.none(), st.builds(lambda click: {"click": click, "purchase": 3.0}, st.floats(0.1, 5))),
    diversity=st.sampled_from([0.0, 0.3, 1.0]),
    method=st.sampled_from(["mmr", "dpp"]),
    most_loss=st.sampled_from([0.0, 0.1, 1.0]),
    rules=st.lists(
        st.one_of(
            st.builds(Boost, matches, st.floats(-3, 3)),
            st.builds(Exclude, matches),
            st.builds(Pin, st.just("1-3"), st.just(1)),
            st.builds(Cap, st.just("category"), st.integers(1, 4)),
            st.builds(Quota, matches, st.integers(1, 2)),
        ),
        max_size=4,
        unique_by=str,
    ),
    explore=st.sampled_from([0.0, 0.0, 0.5]),
    seed=st.integers(0, 9),
    explain=st.just(True),
)


@pytest.fixture(autouse=True)
def _home(session_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_HOME", str(session_home))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wishes, st.integers(0, 40))
def test_base_contributions_and_moves_add_up_to_the_margin_of_every_behaviour(recommender, wish, user):
    try:
        rows = Lister(recommender).ranked(f"u{user}", ALL, wish).rows
    except InputError as fault:
        assert "cannot" in str(fault)  # noqa: PT017
        return
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        for behaviour, margin in row.margins.items():
            moved = sum(move.margins[behaviour] for move in row.moves)
            assert sum(row.contributions[behaviour].values()) + moved == pytest.approx(margin, abs=1e-6)
    stands = recommender.fusion.scores(
        recommender.fusion.probabilities(
            {name: np.array([row.margins[name] for row in rows]) for name in recommender.fusion.boosters}
        ),
        wish.values,
    )
    np.testing.assert_allclose(stands, [row.score for row in rows], atol=1e-9)
    if not wish.explore:
        assert (np.diff(stands) <= 1e-12).all()


def test_without_a_wish_the_list_is_the_models_own(recommender: Recommender) -> None:
    assert Lister(recommender).ranked("u3", ALL).rows == recommender.rank("u3", ALL)


def test_settings_say_what_a_list_is_like() -> None:
    rules = [{"cap": {"field": "seller", "most": 2}}, {"bury": {"field": "category", "value": "x", "by": 1}}]
    wish = Wish.of(Settings.parse({"listing": {"k": 5, "diversity": 0.3, "rules": rules}}))
    assert wish == Wish(k=5, diversity=0.3, rules=(Cap("seller", 2), Boost(Match("category", "x"), -1.0)))
    with pytest.raises(InputError, match=r"rule 1, cap\.most: 'two'; give a whole number from 1"):
        Settings.parse({"listing": {"rules": [{"cap": {"field": "seller", "most": "two"}}]}})


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ({"caps": {}}, "write one of boost, bury, pin, exclude, cap, quota"),
        ({"pin": {"item": "x"}}, "it has item; it takes item, place"),
        ({"boost": {"field": "category", "value": 1, "by": "much"}}, "boost.by: 'much'; give a number"),
        ({"quota": None}, "it has None; it takes field, value, least"),
    ],
)
def test_a_rule_that_cannot_be_read_is_named(rule, fault):
    with pytest.raises(InputError, match=f"rule 2.*{fault}"):
        parse([{"pin": {"item": "x", "place": 1}}, rule])


@pytest.mark.parametrize("taste", range(4))
def test_one_click_moves_what_reads_alike_up(recommender: Recommender, taste: int) -> None:
    """The click is on an item that nobody else has met, so that its text alone can speak."""
    new = {"item_id": "new", "title": f"{TASTES[taste]} 99", "published": "2026-01-01T00:00:00Z"}
    lister = Lister(recommender.add_items(Items.of(pd.DataFrame([new]))))
    shown = ALL[::5] + [item for item in ALL if item not in ALL[::5]]
    before = {row.item_id: row.rank for row in lister.ranked((), shown).rows}
    after = {row.item_id: row.rank for row in lister.ranked((Event("new"),), shown).rows}
    alike = [item for item in ALL if item[0] == str(taste)]
    assert np.mean([after[item] for item in alike]) < 10 < np.mean([before[item] for item in alike])


def test_without_a_history_a_segment_sees_what_it_takes(training: Training) -> None:
    """Users of one taste are told as one segment."""
    users = pd.DataFrame([{"user_id": f"u{user}", "land": f"land{user % 4}"} for user in range(240)])
    asked = replace(training, settings=training.settings.model_copy(update={"segment": "land"}))
    found = Recommender.learnt(asked, pd.concat([users, pd.DataFrame([{"user_id": "fresh", "land": "land3"}])]))
    for recommender in (found, Recommender.load(found.save("segments").version)):
        lister = Lister(recommender)
        assert all(row.item_id[0] == "3" for row in lister.ranked("fresh", ALL, Wish(k=5)).rows)
        rows = lister.ranked((), ALL, Wish(k=5, segment="land2", explain=True)).rows
        assert all(row.item_id[0] == "2" for row in rows)
        assert "popular with users like you" in reasons(rows[0])
        for row in rows:
            assert sum(row.contributions["click"].values()) == pytest.approx(row.margins["click"], abs=1e-6)
        known = (lister.ranked("u1", ALL, Wish(segment=name)).rows for name in ("land0", None))
        assert next(known) == next(known), "a history says more"
        assert lister.ranked("nobody", ALL).rows == recommender.rank("nobody", ALL)
    with pytest.raises(InputError, match="give a table of them"):
        Recommender.learnt(asked)
    with pytest.raises(InputError, match="no column 'land'"):
        Recommender.learnt(asked, users.drop(columns="land"))
