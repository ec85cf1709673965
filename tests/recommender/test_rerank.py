"""Rerank: what the cross-encoder adds, within the time that there is."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recommender.ablation import REREAD, Ablation
from apps.recommender.candidates import Candidates
from apps.recommender.events import Events
from apps.recommender.listing import CROSS_ENCODER, Lister, Wish
from apps.recommender.pace import Pace
from apps.recommender.ranker import Recommender
from apps.recommender.rerank import Reranker, _chosen, fit, told
from apps.recommender.settings import Rerank
from apps.recommender.training import Training
from engine import Store, packaged

WEIGHED = ("click", "purchase")
ALL = [f"{taste}-{number}" for taste in range(4) for number in range(12)]


@pytest.fixture(autouse=True)
def _home(session_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_HOME", str(session_home))


@pytest.fixture(scope="module")
def reread(
    training: Training,
    recommender: Recommender,
    toy_base: Path,
    session_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Recommender:
    """The recommender with a cross-encoder on top, of the shipped recipe but for its export."""
    recipe = tmp_path_factory.mktemp("rank") / "rank.yaml"
    shipped = (packaged() / "recipes" / "recommender_rank.yaml").read_text(encoding="utf-8")
    recipe.write_text(re.sub("export: .*", "export: {format: none}", shipped), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(session_home))
        wanted = Rerank(base=str(toy_base), recipe=str(recipe), pairs=300, depth=6)
        settings = training.settings.model_copy(update={"rerank": wanted})
        blend = fit(replace(training, settings=settings), recommender.fusion)
        return replace(recommender, settings=settings, blend=blend)


def weighed(recommender: Recommender, weight: float) -> Recommender:
    assert recommender.blend
    return replace(recommender, blend=replace(recommender.blend, weights=dict.fromkeys(WEIGHED, weight)))


def test_it_is_trained_stored_and_loaded_with_the_rest(reread: Recommender) -> None:
    saved = reread.save("reread")
    assert saved.blend
    assert saved.blend.model in Store().get(saved.version).manifest()["components"]
    assert Recommender.load("reread").blend == saved.blend
    assert all(0 <= weight <= 1 for weight in saved.blend.weights.values())


def test_it_reads_as_many_as_the_budget_lets_it_and_lists_still_add_up(reread: Recommender) -> None:
    lister = Lister(weighed(reread, 0.5))
    plain = lister.ranked("u3", ALL)
    assert plain.reranked == 0
    assert plain.rows == reread.rank("u3", ALL)
    found = lister.ranked("u3", ALL, Wish(budget_ms=60_000, explain=True, diversity=0.5))
    assert found.reranked == 6
    said = [row.contributions["click"][CROSS_ENCODER] for row in found.rows]
    assert 0 < sum(value != 0 for value in said) <= 6
    assert sum(said) == pytest.approx(0, abs=1e-9), "those that were read keep their mean"
    for row in found.rows:
        moved = sum(move.margins["click"] for move in row.moves)
        assert sum(row.contributions["click"].values()) + moved == pytest.approx(row.margins["click"], abs=1e-6)
    assert lister.ranked("u3", ALL, Wish(budget_ms=0.001)).reranked == 0
    assert lister.ranked("nobody", ALL, Wish(budget_ms=60_000)).reranked == 0, "no history, nothing to read"
    assert Lister(weighed(reread, 0.0)).reranker is None, "what does not help is not asked"


def test_the_ablation_reads_as_a_request_does(training: Training, reread: Recommender) -> None:
    recommender = weighed(reread, 0.7)
    lists = Candidates.of((user, ALL, [float(item == "0-1") for item in ALL]) for user in ("u0", "u5"))
    scores = Ablation(training, recommender).scores()[REREAD](lists)
    rows = Lister(recommender).ranked("u5", ALL, Wish(budget_ms=60_000)).rows
    own = dict(zip(ALL, scores[len(ALL) :], strict=True))
    assert [row.score for row in rows] == pytest.approx([own[row.item_id] for row in rows], abs=1e-9)


def test_what_is_not_done_by_the_deadline_is_given_up(reread: Recommender) -> None:
    recommender = reread
    assert recommender.blend
    reader = Reranker.of(recommender.blend, recommender.items).encoder
    pairs = [("market shares fall 1", "oil price outlook 2")] * 120
    reader.pace.seconds = 1e-9  # it believes that all of them fit
    found = reader.read(pairs, time.perf_counter() + 0.01)
    assert len(found) < len(pairs)
    everything = reader.read(pairs)
    np.testing.assert_array_equal(found, everything[: len(found)])
    assert reader.pace.waiting == 0


@given(st.floats(1e-4, 0.1), st.integers(1, 8), st.floats(-0.1, 1), st.integers(0, 50), st.lists(st.integers(0, 50)))
def test_no_more_is_taken_in_than_is_done_in_time(seconds, workers, left, most, others):
    pace = Pace(seconds, workers)
    for wanted in others:
        pace.take(1.0, wanted)
    before, waiting = pace.seconds, pace.waiting
    taken = pace.take(left, most)
    assert 0 <= taken <= most
    assert not taken or (waiting + taken) * before / workers <= left + 1e-9
    assert pace.waiting == waiting + taken


def test_it_slows_down_with_the_machine_and_recovers():
    pace = Pace(0.01)
    assert pace.take(0.2, 50) == 20
    assert pace.take(0.2, 50) == 0, "behind those that wait"
    for _ in range(20):
        pace.done(0.05)
    assert pace.waiting == 0
    assert pace.take(0.2, 50) < 8
    slow = Pace(5.0)
    tries = [slow.take(0.2, 50) for _ in range(40)]
    assert tries[0] == 0 < max(tries), "a hiccup is not remembered for ever"
    steady, restless = Pace(0.02), Pace(0.02)
    for turn in range(100):
        steady.measured(0.02)
        restless.measured(0.03 if turn % 2 else 0.01)
    assert steady.safe == pytest.approx(0.02, rel=0.01)
    assert restless.safe > 0.05


def test_a_weight_is_taken_where_it_surely_helps():
    random = np.random.default_rng(1)
    base = random.random(200)
    better = np.column_stack([base, base + 0.1 + 0.05 * random.random(200)])
    noise = np.column_stack([base, base + random.normal(0, 1, 200) * 0.1])
    noise[:, 1] += base.mean() - noise[:, 1].mean() + 0.001
    assert _chosen(better)[0] == 1
    assert _chosen(noise) == (0, 0.0)
    assert _chosen(better[:1]) == (0, 0.0)


def test_what_is_read_of_a_history_is_short_and_newest_first(recommender: Recommender) -> None:
    rows = [{"user_id": "u", "item_id": item} for item in ("0-1", "1-2", "0-1")]
    past = recommender.past(Events.of(pd.DataFrame(rows)).history("u"))
    assert told(past, recommender.items) == "market shares fall 1; bank profit rises 2"
