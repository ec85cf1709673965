"""Evaluate: parts on the same lists, with the protocol, on a terminal, as JSON and as a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from apps.recommender import report, summary
from apps.recommender.candidates import Candidates
from apps.recommender.evaluate import Evaluation, Known, evaluate
from apps.recommender.events import Event, Events
from apps.recommender.items import Items
from apps.recommender.splits import Split, by_time
from engine.errors import InputError, LeakError

START = datetime(2026, 3, 2, tzinfo=UTC)
TEST = START + timedelta(days=20)
ITEMS = [f"i{n:02}" for n in range(40)]


@pytest.fixture(scope="module")
def split() -> Split:
    random = np.random.default_rng(7)
    size = 3000
    items = np.minimum(random.exponential(6, size).astype(int), 39)
    days = np.maximum(random.random(size) * 25, items / 2 + 0.1)  # an item is taken after it was published
    return by_time(
        Events.of(
            pd.DataFrame(
                {
                    "user_id": [f"u{n}" for n in random.integers(0, 120, size)],
                    "item_id": [ITEMS[n] for n in items],
                    "datetime": pd.to_datetime([START + timedelta(days=day) for day in days], utc=True),
                }
            )
        ),
        TEST,
    )


@pytest.fixture(scope="module")
def known(split: Split) -> Known:
    published = [START + timedelta(days=n / 2) for n in range(40)]
    vectors = np.random.default_rng(8).normal(size=(40, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = Items.of(pd.DataFrame({"item_id": ITEMS, "title": ITEMS, "published": published}))
    return Known(split.train, items, split.train.added(split.test), vectors)


@pytest.fixture(scope="module")
def candidates(split: Split) -> Candidates:
    frame = split.test.frame
    moments = frame["datetime"].dt.tz_convert(None).to_numpy("datetime64[us]")
    random = np.random.default_rng(9)
    others = [[ITEMS[n] for n in random.choice(40, 8, replace=False)] for _ in range(len(frame))]
    return Candidates.beside(list(frame["user_id"]), list(frame["item_id"]), others, moments)


@pytest.fixture(scope="module")
def done(split: Split, known: Known, candidates: Candidates) -> Evaluation:
    random = np.random.default_rng(10)
    taste = candidates.gains + random.normal(0, 0.5, len(candidates.gains))
    parts = {
        "nothing": lambda lists: np.zeros(len(lists.gains)),
        "popularity": lambda lists: np.array([float(known.users_of[item]) for item in lists.item_ids]),
        "<fused>": taste,
    }
    protocol = split.protocol.measured(candidates, "the target and 8 drawn items", seeds=(9,))
    chances = np.clip(0.11 + 0 * taste, 0, 1)
    return evaluate(parts, candidates, protocol, known, main="<fused>", k=5, probabilities=chances)


def test_parts_are_held_against_the_whole_on_the_same_lists(done):
    nothing, popularity, fused = (done.figures[name]["ndcg"].value for name in ("nothing", "popularity", "<fused>"))
    assert nothing == 0  # every place of five is lost to a tie
    assert nothing < popularity < fused
    gain = done.gains["popularity"]
    assert gain.value == pytest.approx(fused - popularity)
    assert gain.excludes_zero
    assert set(done.gains) == {"nothing", "popularity"}
    assert done.figures["popularity"]["popularity_bias"].value > done.figures["<fused>"]["popularity_bias"].value
    assert 0 < done.figures["<fused>"]["diversity"].value < 2
    assert done.coverage["<fused>"] == 1


def test_slices_hold_every_list_once_and_average_to_the_whole(done, candidates):
    for group in {one.of for one in done.slices}:
        mine = [one for one in done.slices if one.of == group]
        assert sum(one.lists for one in mine) == len(candidates)
        mean = sum(one.lists * one.figures["<fused>"].value for one in mine) / len(candidates)
        assert mean == pytest.approx(done.figures["<fused>"]["ndcg"].value)
    assert len({one.of for one in done.slices}) == 3


def test_calibration_is_measured_where_there_are_probabilities(done, candidates):
    assert done.calibration_error == pytest.approx(abs(0.11 - candidates.gains.mean()))


def test_json_has_the_protocol_and_no_number_that_json_lacks(done):
    document = json.loads(json.dumps(done.document(), allow_nan=False))
    assert document["protocol"]["candidates"] == "the target and 8 drawn items"
    assert document["protocol"]["seeds"] == "9"
    assert document["figures"]["popularity"]["ndcg"]["value"] == round(done.figures["popularity"]["ndcg"].value, 6)


def test_a_terminal_shows_the_protocol_before_any_figure(done, capsys):
    summary.show(done)
    shown = capsys.readouterr().out
    assert shown.index("global by time") < shown.index("Ablation") < shown.index("nDCG@5 by age of the item")
    assert f"{done.figures['popularity']['ndcg'].value:.4f} [" in shown


def test_the_page_needs_nothing_else_and_escapes_names(done):
    page = report.page(done)
    tags: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

    Tags().feed(page)
    assert {"svg", "table", "circle"} <= set(tags)
    assert not {"script", "link", "img", "fused"} & set(tags)
    assert "&lt;fused&gt;" in page
    assert "global by time: test from 2026-03-22 00:00 UTC" in page
    assert "better" in page


def test_a_figure_whose_past_holds_its_future_is_refused(split, known, candidates):
    parts = {"whole": lambda lists: lists.gains}
    future = Known(known.whole or split.test, known.items)
    with pytest.raises(LeakError, match="events learnt from"):
        evaluate(parts, candidates, split.protocol, future, main="whole")
    histories = [(Event("i00", time=TEST + timedelta(days=30)),)] * len(candidates)
    with pytest.raises(LeakError, match="future history"):
        evaluate(parts, candidates, split.protocol, known, main="whole", histories=histories)
    moments = np.full(len(candidates), np.datetime64("2026-03-22T00:00:00", "us"))
    frame = known.items.frame.assign(published=pd.Timestamp("2026-03-23", tz="UTC"))
    early = Candidates(candidates.user_ids, candidates.offsets, candidates.item_ids, candidates.gains, moments)
    with pytest.raises(LeakError, match="item from the future"):
        evaluate(parts, early, split.protocol, Known(known.events, Items(frame)), main="whole")


def test_nothing_to_measure_is_said(split, known, candidates):
    with pytest.raises(InputError, match="no part 'fused'"):
        evaluate({"text": candidates.gains}, candidates, split.protocol, known, main="fused")
    none = Candidates(candidates.user_ids, candidates.offsets, candidates.item_ids, 0 * candidates.gains)
    with pytest.raises(InputError, match="nothing was wanted"):
        evaluate({"text": none.gains}, none, split.protocol, known, main="text")
