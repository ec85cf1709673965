"""Explanation: past items make up the text score, words matter, and reasons are short and true."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from apps.recommender.events import Event
from apps.recommender.explain_cli import add
from apps.recommender.explanation import evidence, reasons, words
from apps.recommender.items import Items
from apps.recommender.listing import Lister, Wish
from apps.recommender.ranker import Recommender
from apps.recommender.rules import Boost, Match, Pin
from engine.errors import InputError

ALL = [f"{taste}-{number}" for taste in range(4) for number in range(12)]
EXPLAINED = Wish(explain=True)


@pytest.fixture(autouse=True)
def _home(session_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_HOME", str(session_home))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(ALL), max_size=30))
def test_past_items_and_the_rest_make_the_text_score(recommender, taken):
    past = recommender.past(tuple(map(Event, taken)))
    text, numbers = recommender.features.text, np.arange(len(ALL), dtype=np.int32)
    events, parts = text.parts(past, numbers)
    taken = [item for item, _ in groupby(taken)]
    assert recommender.items.ids[events].tolist() == taken[-20:]
    scores = text.reader.scores(past, np.zeros(len(ALL), np.int64), numbers)
    np.testing.assert_allclose(parts.sum(axis=0), scores, atol=1e-4)
    told = evidence(recommender, past, numbers)
    shares = [sum(one.share for one in each) for each in told]
    np.testing.assert_allclose(shares, parts[:-1].sum(axis=0), atol=1e-4)
    assert all(len({one.item_id for one in each}) == len(each) == len(set(taken[-20:])) for each in told)


def test_the_taste_of_a_user_is_their_evidence(recommender: Recommender) -> None:
    first = Lister(recommender).ranked("u2", ALL, replace(EXPLAINED, k=1)).rows[0]
    assert first.evidence[0].title.startswith("oil price outlook")
    assert first.features["text.user"] > 0
    assert any(line.startswith("because of oil price outlook") for line in reasons(first))


def test_a_word_is_worth_what_the_text_score_loses_without_it(recommender: Recommender) -> None:
    numbers = recommender.items.numbers(["2-5"])
    past = recommender.past("u2")
    text, found = words(recommender, past, int(numbers[0]))
    assert text == "oil price outlook 5"
    assert [(word.text, text[word.start : word.end]) for word in found] == [(one, one) for one in text.split()]
    without = Items.of(pd.DataFrame([{"item_id": "2-5", "title": "price outlook 5"}]))
    changed = recommender.add_items(without).features.text.reader.scores(past, np.zeros(1, np.int64), numbers)
    whole = recommender.features.text.reader.scores(past, np.zeros(1, np.int64), numbers)
    # A logit is told against items of the catalogue, which changed with it.
    assert found[0].attribution == pytest.approx(float(whole[0] - changed[0]), rel=0.1)


def test_reasons_tell_what_moved_a_row(recommender: Recommender) -> None:
    plain = Lister(recommender).ranked("u2", ALL, EXPLAINED).rows
    assert all(1 <= len(reasons(row)) <= 3 for row in plain)
    last = plain[-1].item_id
    wish = replace(EXPLAINED, rules=(Boost(Match("item_id", last), 9.0), Pin(plain[0].item_id, 3)))
    rows = {row.item_id: row for row in Lister(recommender).ranked("u2", ALL, wish).rows}
    assert rows[last].rank == 1
    assert f"moved up by boost item_id = {last} by 9, from {len(ALL)} to 1" in reasons(rows[last])
    assert reasons(rows[plain[0].item_id])[-1] == f"moved down by pin {plain[0].item_id} at 3, from 2 to 3"
    nobody = Lister(recommender).ranked("nobody", ALL, EXPLAINED).rows
    assert not any("your history" in line for row in nobody for line in reasons(row))


def test_one_item_is_explained_as_in_its_list(recommender: Recommender) -> None:
    lister, wish = Lister(recommender), Wish(k=20, diversity=0.5, rules=(Pin("0-3", 2),), explain=True)
    for row in lister.ranked("u2", ALL, wish).rows[:4]:
        alone = lister.explained("u2", row.item_id, ALL, wish)
        assert (alone.rank, alone.moves, alone.score) == (row.rank, row.moves, row.score)
        for name, own in row.contributions["click"].items():
            assert alone.contributions["click"][name] == pytest.approx(own, abs=1e-9)
    with pytest.raises(InputError, match="'0-3' is not in the list of 0"):
        lister.explained("u2", "0-3", [], Wish())


def test_the_command_tells_parts_that_add_up(recommender: Recommender) -> None:
    recommender.save("explained")
    app = typer.Typer()
    add(app)
    asked = ["--user", "u2", "--item", "2-5", "--model", "explained"]
    found = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert (found["user"], found["item"], found["text"]) == ("u2", "2-5", "oil price outlook 5")
    for told in found["behaviours"].values():
        moved = sum(move["added"] for move in told["moves"])
        assert sum(told["contributions"].values()) + moved == pytest.approx(told["margin"], abs=1e-6)
    assert [word["text"] for word in found["words"]] == ["oil", "price", "outlook", "5"]
    shown = CliRunner().invoke(app, [*asked, "--among", "0-1"]).stdout
    assert "2-5 for u2: place 1 of 2" in shown
    for said in ("click", "purchase", "base", "█", "past items", "= margin"):
        assert said in shown
