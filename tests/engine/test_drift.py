"""Drift is called where it is, and not where chance or a small window made it; servers count without texts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import text as sql

from engine.db import Database
from engine.drift import Labelled, Watch
from engine.drift.labelled import labelled
from engine.drift.measure import ALPHA, measures, psi
from engine.drift.reference import Quality
from engine.drift.sketch import Sketch
from engine.drift.watch import MIGRATIONS, NAME, seen
from engine.drift_cli import sparkline
from engine.feedback import Feedback
from engine.predictor import Prediction
from engine.tasks.labels import Answer
from engine.tasks.regression import Number
from engine.tasks.tag import Entities

NOON = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
LABELS = ("negative", "neutral", "positive")


def answer(label: str, probability: float) -> Answer:
    rest = (1 - probability) / 2
    return Answer((label,), {one: probability if one == label else rest for one in LABELS})


def served(random: np.random.Generator, count: int, *, sure: float = 8.0, negative: float = 0.2) -> Sketch:
    """A sketch of answers and texts as a steady world gives them; the arguments move it."""
    labels = random.choice(LABELS, size=count, p=[negative, 0.8 - negative, 0.2])
    probabilities = 0.34 + 0.65 * random.beta(sure, 2, size=count)
    predictions = [
        Prediction({"mood": answer(str(label), float(probability))}, "toy@1", "onnx")
        for label, probability in zip(labels, probabilities, strict=True)
    ]
    return Sketch.of(predictions, random.lognormal(4, 0.5, size=count).astype(int).tolist())


def vectors(random: np.random.Generator, count: int, shift: float = 0.0) -> NDArray[np.float64]:
    found = random.standard_normal((count, 24)) + 1
    found[:, 0] += shift
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database.open(f"sqlite:///{tmp_path}/keel.db", name=NAME, migrations=MIGRATIONS)
    yield found
    found.close()


@pytest.mark.parametrize("count", [8, 300])
def test_a_steady_world_is_no_drift_however_small_the_window(count: int) -> None:
    """Promised is 1 look in 100; allowed here are 5."""
    random = np.random.default_rng(7)
    looks, false = 40, 0
    for look in range(looks):
        found = measures(served(random, 600), served(random, count), seed=look)
        assert [one.name for one in found] == ["length", "mood: label", "mood: probability"]
        false += any(one.drifted for one in found)
    assert false <= 0.05 * looks


def test_chance_alone_gives_low_p_as_rarely_as_it_should() -> None:
    random = np.random.default_rng(5)
    reference = served(random, 600)
    found = [one.p for look in range(60) for one in measures(reference, served(random, 60), seed=look)]
    # The reference is one draw for all looks, so the shares scatter more than 180 independent ones would.
    assert 0.01 < np.mean(np.array(found) < 0.1) < 0.25


@pytest.mark.parametrize(
    ("moved", "name"),
    [
        ({"negative": 0.5}, "mood: label"),
        ({"sure": 2.0}, "mood: probability"),
    ],
)
def test_a_planted_shift_is_found_where_it_is(moved: dict[str, float], name: str) -> None:
    random = np.random.default_rng(3)
    found = measures(served(random, 600), served(random, 400, **moved))  # type: ignore[arg-type]
    assert [one.name for one in found if one.drifted] == [name]
    (one,) = (one for one in found if one.drifted)
    assert one.p < ALPHA
    assert one.value > one.noise
    assert one.verdict in ("moderate", "large")
    assert sum(group.window for group in one.groups) == pytest.approx(1)


def test_a_small_windows_high_index_is_not_called_drift() -> None:
    random = np.random.default_rng(2)
    found = measures(served(random, 600), served(random, 12))
    assert any(one.value >= 0.1 for one in found)
    assert {one.verdict for one in found} <= {"stable", "too few texts to tell"}
    tiny = measures(served(random, 600), served(random, 400, negative=0.8))
    assert any(one.drifted for one in tiny)


def test_a_new_label_and_a_new_language_count_with_the_others() -> None:
    both = [Prediction({"mood": answer("neutral", 0.9)}, "toy@1", "onnx")] * 50
    new = [Prediction({"mood": Answer(("ecstatic",), {"ecstatic": 0.9})}, "toy@1", "onnx")] * 50
    found = {one.name: one for one in measures(Sketch.of(both, ["the bank"] * 50), Sketch.of(new, ["新银行"] * 50))}
    assert found["language"].drifted
    assert found["mood: label"].drifted
    assert [(group.name, group.window) for group in found["mood: label"].groups] == [("neutral", 0), ("others", 1)]


def test_vectors_drift_by_their_mean_and_by_no_less_than_chance_gives() -> None:
    random = np.random.default_rng(1)
    none = Prediction({}, "toy@1", "onnx")

    def sketch(count: int, shift: float = 0.0) -> Sketch:
        return Sketch.of([none] * count, [40] * count, vectors(random, count, shift))

    reference, false = sketch(500), 0
    for _ in range(100):
        found = next(one for one in measures(reference, sketch(60)) if one.name == "embedding")
        false += found.drifted
    assert false <= 5
    moved = next(one for one in measures(reference, sketch(300, 1.5)) if one.name == "embedding")
    assert moved.verdict == "large"
    assert moved.p < 1e-6
    assert not any(one.name == "embedding" for one in measures(reference, Sketch.of([none] * 9, [40] * 9)))


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6), st.lists(st.integers(0, 50), min_size=2, max_size=6))
def test_the_index_is_never_negative_and_the_same_both_ways(first: list[int], second: list[int]) -> None:
    size = min(len(first), len(second))
    one, two = np.array(first[:size]), np.array(second[:size])
    assert psi(one, two) >= 0
    assert psi(one, two) == pytest.approx(float(psi(two, one)))
    assert psi(one, one) == 0


@given(st.lists(st.text(max_size=30), max_size=12), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_sketches_of_parts_add_up_to_that_of_the_whole(texts: list[str], cut: int) -> None:
    predictions = [
        Prediction({"mood": answer("neutral", 0.4 + place / 30)}, "t", "onnx") for place in range(len(texts))
    ]
    whole = Sketch.of(predictions, texts)
    parts = Sketch.of(predictions[:cut], texts[:cut]) + Sketch.of(predictions[cut:], texts[cut:])
    assert dict(whole.cells) == dict(parts.cells)
    assert whole.texts == len(texts)


def test_every_kind_of_answer_is_counted_or_passed_over() -> None:
    predictions = [
        Prediction(
            {"topics": Answer((), {"a": 0.2, "b": 0.4}), "price": Number(-3.5), "names": Entities(())}, "t", "x"
        ),
        Prediction({"price": Number(float("nan")), "said": object()}, "t", "x"),
    ]
    cells = Sketch.of(predictions, [("a question", "its passage"), 7]).cells
    assert cells["topics: label", "none"] == 1
    assert cells["topics: probability", "8"] == 1
    assert cells["names: entities", "0"] == 1
    assert sum(count for (measure, _), count in cells.items() if measure == "price: number") == 1
    assert not any(measure.startswith("said") for measure, _ in cells)


def test_threads_count_at_once_and_nothing_is_lost_or_kept_of_the_texts(database: Database, tmp_path: Path) -> None:
    said = [Prediction({"mood": answer("positive", 0.9)}, "toy@1", "onnx")] * 5

    with Watch(database, every=0.01) as watch, Watch(database, every=0.01) as other:

        def serve() -> None:
            for _ in range(20):
                for one in (watch, other):
                    one.seen("toy@1", said, ["Halden's secret"] * 5, at=NOON)

        threads = [threading.Thread(target=serve) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        watch.seen("toy@2", said, [3] * 5, at=NOON)
    (found,) = seen(database, "toy@1", NOON, NOON, letters=13).values()
    assert found.texts == 800
    assert found.bins("mood: label") == {"positive": 800}
    assert seen(database, "toy@1", NOON + timedelta(hours=1), NOON + timedelta(hours=2), letters=10) == {}
    with database.read() as connection:
        assert "secret" not in str(connection.execute(sql("select * from drift_counts")).all())
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.glob("keel.db*"))


def test_counts_wait_while_the_database_cannot_be_written(database: Database) -> None:
    watch = Watch(database, every=3600)
    said = [Prediction({"mood": answer("positive", 0.9)}, "toy@1", "onnx")]
    with database.write() as connection:
        connection.execute(sql("alter table drift_counts rename to elsewhere"))
    watch.seen("toy@1", said, ["a"], at=NOON)
    with pytest.raises(Exception, match="drift_counts"):
        watch.flush()
    watch.seen("toy@1", said, ["b"], at=NOON)
    with database.write() as connection:
        connection.execute(sql("alter table elsewhere rename to drift_counts"))
    watch.close()
    (found,) = seen(database, "toy@1", NOON, NOON, letters=13).values()
    assert found.texts == 2


def feedback(label: str, probability: float, right: bool, **more: object) -> Feedback:
    correction = {"mood": label if right else "other"}
    said = {"mood": {"label": label, "probability": probability}}
    values: dict[str, object] = {
        "tenant": "t", "model": "toy@1", "subject": "s", "text": "a", "said": said, "correction": correction,
        "app": "console", "kind": "label", "rater": "r", "consent": True,
    }  # fmt: skip
    return Feedback(**{**values, **more})  # type: ignore[arg-type]


def test_labels_tell_a_worse_model_from_one_that_is_as_it_was() -> None:
    random = np.random.default_rng(4)
    quality = {"mood": Quality(500, 450, 0.02)}

    def told(share: float, count: int, sure: float = 0.9) -> Labelled:
        given_ = [feedback("positive", sure, bool(random.random() < share)) for _ in range(count)]
        return labelled(given_, quality)[0]

    assert sum(told(0.9, 60).drifted for _ in range(60)) <= 3
    assert told(0.6, 200).drifted
    assert not told(0.0, 10).drifted  # too few
    unsure = told(0.9, 400, sure=0.6)
    assert unsure.interval[1] > 0.9 - 0.06
    assert unsure.drifted  # right, and does not know it


def test_thumbs_judge_a_lone_head_and_corrections_the_heads_they_name() -> None:
    quality = {"mood": Quality(100, 90, 0.0), "tone": Quality(100, 90, 0.0)}
    lone = [feedback("positive", 0.9, True, correction=None, verdict=verdict) for verdict in (0.0, 1.0, 0.5, None)]
    (one,) = labelled(lone, quality)
    assert (one.rows, one.accuracy) == (2, 0.5)
    both = {"mood": {"label": "a", "probability": 0.9}, "tone": {"label": "b", "probability": 0.8}, "x": {"labels": []}}
    two = [
        feedback("a", 0.9, True, said=both, correction={"tone": "c"}),
        feedback("a", 0.9, True, said=both, correction=None, verdict=1.0),
        feedback("a", 0.9, True, said=both, correction={"unknown": "c"}),
    ]
    assert [(one.head, one.rows, one.accuracy) for one in labelled(two, quality)] == [("tone", 1, 0.0)]


def test_trends_are_drawn_against_a_large_drift() -> None:
    assert sparkline((0.0, 0.125, None, 0.25)) == "▁▅·█"
    assert sparkline((0.5, 1.0)) == "▅█"


@pytest.mark.services
def test_postgresql_counts_as_sqlite_does(postgresql: str, tmp_path: Path) -> None:
    said = [Prediction({"mood": answer("positive", 0.9)}, "toy@1", "onnx")] * 3
    found = []
    for url in (postgresql, f"sqlite:///{tmp_path}/keel.db"):
        database = Database.open(url, name=NAME, migrations=MIGRATIONS)
        with Watch(database, every=0.01) as watch, Watch(database, every=0.01) as other:
            for one in (watch, other, watch):
                one.seen("toy@1", said, ["a", "b", "c"], vectors(np.random.default_rng(0), 3), at=NOON)
                one.flush()
        found.append(seen(database, "toy@1", NOON - timedelta(days=1), NOON, letters=10))
        database.close()
    (theirs,), (ours,) = (parts.values() for parts in found)
    assert ours.texts == 9
    assert theirs.cells == pytest.approx(ours.cells)
