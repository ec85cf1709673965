"""The cascade: what the cheap model answers is what the champion would say, within a bound, and is told apart."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from apps.finance_monitor import distilled, journal, labels, tables
from apps.finance_monitor.cascade import CHEAP, OVERLOAD, Cascade
from apps.finance_monitor.labels import Label
from apps.finance_monitor.linear import HEADS, WEIGHTS, Linear
from apps.finance_monitor.repeats import Repeats
from engine import Answer, Prediction, Predictor, Progress, Recipe, Store, Watch, learnt_from, load, train
from engine.errors import InputError, StoreError
from engine.tasks.heads import HeadSpec
from tests.finance_monitor.test_alarms import item
from tests.finance_monitor.words import Words, counted

SUBJECTS = ["Halden", "Veldt Motors", "the bank", "Nordvik", "海岳银行", "the carrier", "Brackwater"]
GOOD, BAD, FLAT = ("profit rose", "利润增长"), ("profit fell", "利润下降"), ("profit was unchanged", "利润持平")


class Teacher:
    """A champion of few words that counts what it is asked."""

    model, version = "toy@1", None
    spec = SimpleNamespace(
        languages=("en", "zh"),
        vectors="",
        heads=(
            HeadSpec("sentiment", "single", ("negative", "neutral", "positive")),
            HeadSpec("topics", "multi", ("earnings", "labour")),
        ),
    )

    def __init__(self) -> None:
        self.asked: list[str] = []

    def probabilities(self, texts: Sequence[str]) -> dict[str, Any]:
        self.asked += texts
        kinds = [0 if any(w in t for w in BAD) else 2 if any(w in t for w in GOOD) else 1 for t in texts]
        sentiment = np.full((len(texts), 3), 0.02)
        sentiment[np.arange(len(texts)), kinds] = 0.96
        topics = [[0.97 if "profit" in t or "利润" in t else 0.03, 0.97 if "strike" in t else 0.03] for t in texts]
        return {"sentiment": sentiment, "topics": np.array(topics).reshape(len(texts), 2)}

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        found = self.probabilities(texts)
        answers = []
        for sentiment, topics in zip(found["sentiment"], found["topics"], strict=True):
            label = self.spec.heads[0].labels[int(sentiment.argmax())]
            given = tuple(name for name, p in zip(self.spec.heads[1].labels, topics, strict=True) if p >= 0.5)
            named = dict(zip(self.spec.heads[1].labels, topics.tolist(), strict=True))
            heads = {"sentiment": Answer((label,), {label: float(sentiment.max())}), "topics": Answer(given, named)}
            answers.append(Prediction(heads, "toy@1", "onnx"))
        return answers


def champion() -> tuple[Teacher, Predictor]:
    teacher = Teacher()
    return teacher, cast(Predictor, teacher)


def sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    said = [
        f"{draw.choice(SUBJECTS)}: {draw.choice(draw.choice([GOOD, BAD, FLAT]))} in 20{draw.randint(10, 26)}"
        for _ in range(count)
    ]
    return [text + draw.choice(["", " after a strike", ", it says"]) for text in said]


@pytest.fixture(scope="module")
def stand_in() -> Linear:
    return distilled.distil(champion()[1], sentences(150, 1), sentences(150, 2))


def half_sure(linear: Linear, texts: Sequence[str]) -> Linear:
    """As sure as leaves it half of the texts."""
    return replace(linear, sure=float(np.median([of for _, of in linear.answers(texts)])))


def same(one: dict[str, Answer], other: Prediction) -> bool:
    return all(set(one[head].labels) == set(other[head].labels) for head in one)


def test_what_it_is_sure_of_is_what_the_champion_says(stand_in: Linear) -> None:
    texts = sentences(300, 3)
    theirs = champion()[1].predict(texts)
    mine = stand_in.answers(texts)
    sure = [same(heads, other) for (heads, of), other in zip(mine, theirs, strict=True) if of >= stand_in.sure]
    assert len(sure) > 200
    assert sure.count(False) <= 0.03 * len(texts)
    for heads, of in mine[:5]:
        assert sum(heads["sentiment"].probabilities.values()) == pytest.approx(1)
        assert 0 <= of <= 1


@given(st.lists(st.text(max_size=60), max_size=6), st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_an_answer_never_depends_on_its_neighbours(stand_in: Linear, others: list[str], text: str) -> None:
    among = stand_in.answers([*others, text, *others])
    assert among[len(others)] == stand_in.answers([text])[0]


def test_a_linear_model_is_read_as_it_was_written(stand_in: Linear, tmp_path: Path) -> None:
    stand_in.write(tmp_path)
    again = Linear.read(tmp_path)
    texts = sentences(20, 4)
    assert again.answers(texts) == stand_in.answers(texts)
    assert again.answers([]) == []
    np.savez(tmp_path / WEIGHTS, weights=stand_in.weights[:9])
    with pytest.raises(ValueError, match="features"):
        Linear.read(tmp_path)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=400))
@settings(max_examples=100, deadline=None)
def test_the_least_sureness_keeps_the_bound(judged: list[tuple[float, bool]]) -> None:
    sure, differs = np.array([one[0] for one in judged]), np.array([one[1] for one in judged])
    least = distilled.threshold(sure, differs)
    errors = int((differs & (sure >= least)).sum())
    if least > 1:
        assert len(judged) < 400 or errors == 0
    else:
        assert beta.ppf(0.95, errors + 1, len(judged) - errors) <= distilled.DISAGREEMENT


def test_few_texts_prove_nothing_and_many_do() -> None:
    never = np.zeros(1000, dtype=np.bool_)
    sure = np.linspace(0.4, 1.0, 1000)
    assert distilled.threshold(sure[:50], never[:50]) > 1
    assert distilled.threshold(sure, never) == pytest.approx(0.3)
    below = distilled.threshold(sure, sure < 0.7)
    assert 0.6 < below <= 0.7


def test_repeats_are_remembered_and_the_sure_are_not_asked(stand_in: Linear) -> None:
    teacher, model = champion()
    texts = sentences(40, 5) * 2
    cascade = Cascade(model, half_sure(stand_in, texts))
    found = cascade.predict(texts)
    assert found[:40] == found[40:]
    assert teacher.asked == list(dict.fromkeys(teacher.asked))
    routes = {one.backend for one in found}
    assert routes == {"onnx", CHEAP}
    asked = set(teacher.asked)
    assert all((text in asked) == (one.backend == "onnx") for text, one in zip(texts, found, strict=True))
    assert {one.model for one in found} == {"toy@1"}
    before = len(teacher.asked)
    assert cascade.predict(texts[:10]) == found[:10]
    assert len(teacher.asked) == before
    assert cascade.repeated == len(texts) - len(set(texts)) + 10


def test_overload_asks_the_champion_nothing_and_is_not_remembered(stand_in: Linear) -> None:
    teacher, model = champion()
    cascade = Cascade(model, stand_in, spare=True)
    texts = sentences(10, 6)
    cascade.overloaded = True
    assert {one.backend for one in cascade.predict(texts)} == {OVERLOAD}
    assert teacher.asked == []
    cascade.overloaded = False
    assert {one.backend for one in cascade.predict(texts)} == {"onnx"}
    assert set(teacher.asked) == set(texts)
    alone = Cascade(model)
    alone.overloaded = True
    assert {one.backend for one in alone.predict(texts)} == {"onnx"}


def test_the_route_is_kept_with_the_label(stand_in: Linear, tmp_path: Path) -> None:
    texts = sentences(30, 7)
    news = [item(minute, text).item for minute, text in enumerate(texts)]
    database = tables.opened(str(tmp_path / "monitor.db"))
    with Watch(database) as watch:
        cascade = Cascade(champion()[1], half_sure(stand_in, texts))
        found = labels.label(news, [cascade], cast(Any, Words()), watch=watch)
        cascade.overloaded = True
        labels.label(news, [cascade], cast(Any, Words()), watch=watch)
    routes = [one.label.route for one in found if one.label]
    assert set(routes) == {"model", CHEAP}
    assert counted(database, "toy@1").texts == routes.count("model"), "of the stand-in's answers no drift is told"
    database.close()
    for one in found:
        row = journal._row(one)
        assert journal._labelled(row["data"], row["vector"]).label == one.label
    before = journal._row(item(0, "of old"))["data"].replace(', "route": "model"', "")
    old = journal._labelled(before, None).label
    assert old == Label("neutral", ("earnings",), "m", "model")


def test_under_overload_no_model_embeds_or_reads_companies(stand_in: Linear) -> None:
    class Asked:
        """Neither an embedder nor a reader of companies; it counts titles."""

        def __init__(self) -> None:
            self.titles: list[str] = []

        def stream(self, titles: Sequence[str]) -> Any:
            self.titles += titles
            return Words().stream(titles)

        def read(self, items: Sequence[Any], known: Any, given: Sequence[Label | None], named: Any) -> list[Any]:
            self.titles += [one.title for one, label in zip(items, given, strict=True) if label]
            return [() for _ in items]

    news = [item(minute, text).item for minute, text in enumerate(sentences(10, 8))]
    cascade, asked = Cascade(champion()[1], stand_in), Asked()
    cascade.overloaded = True
    found = labels.label(news, [cascade], cast(Any, asked), cast(Any, asked))
    assert asked.titles == []
    assert [(one.vector, one.companies) for one in found] == [(None, None)] * 10
    cascade.overloaded = False
    found = labels.label(news, [cascade], cast(Any, asked), cast(Any, asked))
    assert len(asked.titles) == 20
    assert all(one.vector is not None and one.companies == () for one in found)


@pytest.mark.parametrize("of", [labels.ENCODER, "another"])
def test_the_encoder_is_asked_only_for_vectors_that_the_labeller_does_not_repeat(of: str) -> None:
    class Repeating(Words):
        spec = SimpleNamespace(**{**vars(Words.spec), "vectors": of})

        def predict(self, titles: Sequence[str]) -> list[Prediction]:
            vectors = super().stream([f"{title} by the labeller" for title in titles])
            return [replace(one, vector=vector) for one, vector in zip(super().predict(titles), vectors, strict=True)]

        def stream(self, titles: Sequence[str]) -> Any:
            asked.extend(titles)
            return super().stream(titles)

    asked: list[str] = []
    both = cast(Any, Repeating())
    (found,) = labels.label([item(0, "Halden reports").item], [both], both)
    title, repeats = found.item.title, of == labels.ENCODER
    (vector,) = Words().stream([f"{title} by the labeller" if repeats else title])
    assert found.vector is not None
    assert found.vector.tobytes() == vector.tobytes()
    assert asked == ([] if repeats else [title])


@given(st.lists(st.integers(0, 12).map(str), max_size=60), st.integers(1, 8), st.integers(1, 9))
def test_repeats_answer_as_if_all_were_asked(texts: list[str], size: int, at_a_time: int) -> None:
    asked: list[str] = []

    def ask(some: list[str]) -> list[int]:
        asked.extend(some)
        return [int(text) ** 2 for text in some]

    repeats: Repeats[int] = Repeats(ask, size=size)
    for start in range(0, len(texts), at_a_time):
        some = texts[start : start + at_a_time]
        assert repeats.answers(some) == [int(text) ** 2 for text in some]
        assert len(repeats._known) <= size
    assert len(asked) >= len(set(texts))


def test_a_stand_in_is_made_once_and_belongs_to_one_champion(
    toy_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distilled, "STEPS", 5)
    recipe = toy_recipe()
    version = train(recipe).version
    taught, judged = learnt_from(version, held=0.2)
    rows = version.manifest()["rows"]
    assert len(taught) + len(judged) == rows["train"] + rows["dev"] + rows["calibration"]
    assert not {row.text for row in taught} & {row.text for row in judged}
    assert not {row.group for row in taught} & {row.group for row in judged}
    model, quiet = load("toy"), Progress(quiet=True)
    first = distilled.distilled(version, model, quiet)
    stored = Store().get("toy-linear")
    assert stored.manifest()["components"] == ["toy@1"]
    assert Store().verify(stored) == []
    again = distilled.distilled(version, model, quiet)
    assert again.sure == first.sure
    assert np.array_equal(again.weights, first.weights)
    assert len(Store().versions("toy-linear")) == 1
    (stored.folder / HEADS).write_text("{")
    with pytest.raises(StoreError, match="engine models verify toy-linear@1"):
        distilled.distilled(version, model, quiet)
    with Store().staging("toy") as staged:
        shutil.copytree(version.folder, staged, dirs_exist_ok=True)
        second = Store().commit("toy", staged, {**version.manifest(), "made": "later"})
    distilled.distilled(second, model, quiet)
    assert Store().get("toy-linear").manifest()["components"] == ["toy@2"]
    Path(recipe.data.train[0]).write_text("")
    with pytest.raises(InputError, match="has changed since"):
        learnt_from(version, held=0.2)
