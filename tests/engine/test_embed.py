"""Embed: texts that belong together get near vectors; from pairs to a version that other libraries read too."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Embedder, Recipe, Store, load, speed, train
from engine.data.rows import Row
from engine.errors import DataError, ExportError, InputError, RecipeError
from engine.evaluate.held_out import evaluate
from engine.resources import packaged
from engine.tasks.bi_encoder import BiEncoder, paired
from engine.tasks.encoder import load_encoder
from engine.tasks.headed import tokenizer_of
from engine.tasks.heads import HeadSpec, ModelSpec
from engine.tasks.kinds import Output
from engine.tasks.rank import ndcg_at, reciprocal_rank
from engine.tasks.retrieval import Vector, scores, unit
from engine.training import Quiet, Trained
from engine.tuning.negatives import mine

Pairs = list[dict[str, str]]
HEAD = HeadSpec("vector", "vector")
TEXTS = ["Profit fell 12% on weak demand", "利润下降", "", "x" * 3000, "\ud83d half a pair", "Rates stay unchanged"]


@pytest.fixture(scope="session")
def retellings() -> Pairs:
    """Later tellings of a story and its first, of the packaged feed."""
    folder = packaged() / "data" / "finance"
    items = [json.loads(line) for line in (folder / "news.jsonl").read_text(encoding="utf-8").splitlines()]
    labels = [json.loads(line) for line in (folder / "news.labels.jsonl").read_text(encoding="utf-8").splitlines()]
    titles = {item["id"]: item["title"] for item in items}
    first: dict[str, str] = {}
    pairs = []
    for item in labels:
        title = titles[item["id"]]
        told = first.setdefault(item["story"], title)
        if told != title:
            pairs.append({"text": title, "pair": told, "story": item["story"]})
    return pairs


@pytest.fixture
def recipe(toy_base: Path, write: Callable[[str, str], Path], retellings: Pairs) -> Callable[..., Recipe]:
    """A recipe over the retellings on the toy base; keyword arguments replace sections, `task` adds to its own."""
    file = write("pairs.jsonl", "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in retellings))

    def make(task: dict[str, Any] = {}, tuning: dict[str, Any] = {}, **sections: Any) -> Recipe:  # noqa: B006
        values: dict[str, Any] = {
            "name": "toy-embed",
            "base": str(toy_base),
            "task": {"kind": "embed", **task},
            "data": {"train": str(file), "split": {"group": "story", "test": 0.3}},
            "tuning": {"epochs": 1, "batch_tokens": 1024, "max_length": 48, **tuning},
            "export": {"format": "none"},
            "track": [],
        }
        return Recipe.parse({**values, **sections})

    return make


def row(text: str, pair: str, origin: str = "", **rest: Any) -> Row:
    return Row(text, {"vector": True}, None, origin or f"{text} {pair}", pair, **rest)


@pytest.fixture
def spec(toy_base: Path) -> ModelSpec:
    return ModelSpec("embed", (HeadSpec("vector", "vector", widths=(16, 8)),), "", 48, ("en",))


@pytest.fixture
def model(toy_base: Path, spec: ModelSpec) -> BiEncoder:
    made = BiEncoder(load_encoder(toy_base), spec.heads)
    made.eval()  # without dropout, so that two passes are equal
    return made


# Figures


@st.composite
def _asked(draw: st.DrawFn) -> tuple[list[Row], np.ndarray[Any, np.dtype[np.float64]]]:
    pairs = draw(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("bcdefg")), min_size=1, max_size=12))
    seed = draw(st.integers(0, 1000))
    known = {text: np.random.default_rng([seed, place]).integers(-2, 3, 3) for place, text in enumerate("abcdefg")}
    rows = [row(text, pair) for text, pair in pairs]
    return rows, np.array([[known[one.text], known[str(one.pair)]] for one in rows], dtype=np.float64)


@given(_asked())
@settings(max_examples=200, deadline=None)
def test_figures_are_those_of_ranking_every_candidate_one_by_one(
    asked: tuple[list[Row], np.ndarray[Any, np.dtype[np.float64]]],
) -> None:
    rows, vectors = asked
    found = scores(rows, vectors)
    by_pair = {str(one.pair): unit(vectors[place, 1]) for place, one in enumerate(rows)}
    for place, one in enumerate(rows):
        mine = {str(other.pair) for other in rows if other.text == one.text}
        others = [text for text in by_pair if text != one.text or text in mine]
        truth = np.array([float(text in mine) for text in others])
        cosines = np.round([unit(vectors[place, 0]) @ by_pair[text] for text in others], 9)
        assert found["ndcg10"][place] == pytest.approx(ndcg_at(truth, cosines, 10))
        assert found["mrr"][place] == pytest.approx(reciprocal_rank(truth, cosines))
        ahead = sum(score >= cosines[truth > 0].max() for score in cosines[truth == 0])
        assert (found["recall1"][place] > 0) == (ahead == 0)
        assert found["recall1"][place] <= found["recall10"][place] <= 1


def test_a_tie_counts_against_us_and_a_query_counts_once() -> None:
    rows = [row("q", "x"), row("q", "y"), row("r", "z")]
    same = np.ones((3, 2, 4))
    found = scores(rows, same)
    assert found["recall1"].tolist() == [0, 0, 0]
    assert found["mrr"].tolist() == [1 / 2, 1 / 2, 1 / 3]
    metric = Vector().metrics(HEAD, rows, [Output(both) for both in same], 1.0)["mrr"]
    assert metric(np.arange(3)) == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_each_shorter_width_is_measured_by_its_own_cut() -> None:
    rows = [row("q", "x"), row("r", "y")]
    vectors = np.zeros((2, 2, 4))
    vectors[:, :, :2] = [[[1, 0], [0, 1]], [[0, 1], [1, 0]]]  # the first two numbers point at the other's partner
    vectors[:, :, 2:] = [[[3, 0], [3, 0]], [[0, 3], [0, 3]]]
    found = Vector().metrics(HeadSpec("vector", "vector", widths=(2,)), rows, [Output(both) for both in vectors], 1.0)
    assert (found["recall1"](np.arange(2)), found["recall1_width_2"](np.arange(2))) == (1, 0)


# Hard negatives


@given(st.integers(1, 12), st.integers(2, 20), st.integers(1, 5), st.floats(0, 0.5), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_mined_negatives_are_the_nearest_that_neither_belong_nor_might(
    anchors: int, candidates: int, count: int, margin: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    left, right = (unit(random.normal(size=(size, 3))) for size in (anchors, candidates))
    partners = random.integers(candidates, size=anchors)
    belongs = [np.unique([partner, *random.integers(candidates, size=2)]) for partner in partners]
    mined = mine(left, right, partners, belongs, count=count, margin=margin)
    cosines = left @ right.T
    left_out = 0
    for place, found in enumerate(mined.negatives):
        limit = cosines[place, partners[place]] - margin
        foreign = np.setdiff1d(np.arange(candidates), belongs[place])
        allowed = foreign[cosines[place, foreign] <= limit]
        left_out += len(foreign) - len(allowed)
        assert found.tolist() == allowed[np.argsort(-cosines[place, allowed])][:count].tolist()
    assert mined.left_out == left_out


# Loss


BATCH = [
    row("Profit fell 12% on weak demand", "Earnings were down"),
    row(
        "Rates stay unchanged", "The central bank held its rate again, as all but two analysts had foreseen, until June"
    ),
    row("A meeting", "Directors met"),
]


def _loss(model: BiEncoder, rows: Sequence[Row], spec: ModelSpec, folder: Path) -> torch.Tensor:
    pairs = paired(rows, tokenizer_of(folder), spec)
    found: torch.Tensor = model(**pairs.collator()([pairs[place] for place in range(len(rows))]))["loss"]
    return found


def test_the_loss_is_that_of_sentence_transformers(model: BiEncoder, spec: ModelSpec, toy_base: Path) -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    theirs = MultipleNegativesRankingLoss(None, scale=20.0)  # type: ignore[arg-type]
    tokenizer = tokenizer_of(toy_base)
    sides = [
        torch.cat([model.embed(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)) for text in texts])
        for texts in ([one.text for one in BATCH], [str(one.pair) for one in BATCH])
    ]
    each = [theirs.compute_loss_from_embeddings([side[:, :width] for side in sides], None) for width in (32, 16, 8)]  # type: ignore[arg-type]
    assert _loss(model, BATCH, spec, toy_base).item() == pytest.approx(sum(each).item() / 3, rel=1e-5)  # type: ignore[union-attr]


@pytest.mark.parametrize("recompute", [False, True])
def test_padding_and_pieces_change_no_loss_and_no_gradient(
    model: BiEncoder, spec: ModelSpec, toy_base: Path, recompute: bool
) -> None:
    found = []
    for chunk in (10_000, 1):  # all texts in one padded batch, and each text by itself
        model.zero_grad()
        model.chunk_tokens, model.recompute = chunk, recompute and chunk == 1
        loss = _loss(model, BATCH, spec, toy_base)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [value.grad.clone() for value in model.parameters() if value.grad is not None]
        found.append((loss.item(), torch.cat([gradient.flatten() for gradient in gradients])))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert found[0][1].abs().max() > 0.01
    assert torch.allclose(found[0][1], found[1][1], atol=1e-5)


def test_what_belongs_to_an_anchor_is_not_held_against_it(model: BiEncoder, spec: ModelSpec, toy_base: Path) -> None:
    second = row(BATCH[0].text, "Income sank")
    twice = row("Results were poor", str(BATCH[0].pair))
    noisy = row("Profti fell 12%", "Earnigns were down", origin=BATCH[0].origin)
    made = row("Gains shrank", "Earnings went down", origin="made:1", augmented_from=BATCH[0].origin)
    echo = row(str(BATCH[0].pair), BATCH[0].text)
    for rows in ([BATCH[0], second], [BATCH[0], twice], [BATCH[0], noisy], [BATCH[0], made]):
        assert _loss(model, rows, spec, toy_base).item() == pytest.approx(0, abs=1e-6)
    batch = paired([BATCH[0], echo], tokenizer_of(toy_base), spec).collator()([{"row": 0}, {"row": 1}])
    assert batch["belonging"].tolist() == [[False, True], [True, False]]
    assert _loss(model, BATCH[:2], spec, toy_base).item() > 0.01


def test_mined_negatives_join_the_batch_and_a_text_stands_in_it_once(
    model: BiEncoder, spec: ModelSpec, toy_base: Path
) -> None:
    pairs = paired(BATCH, tokenizer_of(toy_base), spec)
    before = pairs.lengths
    pairs.negatives = [np.array([1, 2]), np.array([2]), np.array([], dtype=np.intp)]
    batch = pairs.collator()([{"row": 0}, {"row": 1}])
    assert len(batch["input_ids"]) == 2 + 3
    assert batch["partners"].tolist() == [0, 1]
    assert not batch["belonging"].any()
    assert pairs.lengths[2] == before[2]
    assert pairs.lengths[0] == before[0] + before[1] + before[2] - len(pairs.input_ids[1]) - len(pairs.input_ids[2])


# The road


def _learnt(done: Trained) -> dict[str, float]:
    return {name: figure.value for name, figure in done.figures.heads["vector"].items()}


LEARNS = {"epochs": 4, "learning_rate": 1e-3, "average": 0.8}


@pytest.mark.parametrize(("method", "rate"), [("full", 2e-3), ("lora", 1e-2)])
def test_training_raises_the_figures_on_rows_never_seen(
    recipe: Callable[..., Recipe],
    write: Callable[[str, str], Path],
    headlines: list[dict[str, Any]],
    method: str,
    rate: float,
) -> None:
    """Headlines find the names of their topics, which an untrained encoder cannot know."""
    chosen = [item for item in headlines if item["topics"] and item["lang"] == "en"][::4]
    rows = [{"text": item["title"], "pair": ", ".join(sorted(item["topics"]))} for item in chosen]
    file = write("topics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    data = {"train": str(file), "split": {"test": 0.3}}
    done = train(recipe(tuning={**LEARNS, "method": method, "learning_rate": rate}, data=data))
    gain = done.figures.heads["vector"]["ndcg10_gain"]
    assert gain.low > 0.05
    found = _learnt(done)
    assert found["ndcg10"] - found["ndcg10_before"] == pytest.approx(gain.value)
    assert done.rows["calibration"] == 0
    manifest = done.version.manifest()
    assert (manifest["parameters"]["trainable"] < manifest["parameters"]["all"]) == (method == "lora")
    assert not (done.version.folder / "model" / "adapter").exists()


def test_the_same_seed_gives_the_same_weights_and_negatives_are_told(recipe: Callable[..., Recipe]) -> None:
    told: list[str] = []

    class Listener(Quiet):
        def stage(self, text: str) -> None:
            told.append(text)

    made = recipe({"hard_negatives": 2, "matryoshka": [8, 16]}, {"accumulate": 4, "batch_tokens": 256})
    versions = [train(made, watcher=Listener()).version for _ in range(2)]
    first, second = (version.manifest()["files"]["model/model.safetensors"] for version in versions)
    assert first == second
    figures = versions[0].manifest()["metrics"]["heads"]["vector"]
    assert {"ndcg10_width_16", "recall10_width_8"} < set(figures)
    mined = [text for text in told if text.startswith("mined")]
    assert len(mined) == 2
    assert "hard negatives for 243 pairs" in mined[0]
    assert train(recipe()).version.manifest()["files"]["model/model.safetensors"] != first


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_version_serves_on_its_export_like_its_weights_and_alike_in_a_fresh_process(
    recipe: Callable[..., Recipe], precision: str
) -> None:
    export = {"format": "onnx", "precision": precision, "max_quality_loss": 1.0}
    done = train(recipe(tuning={"epochs": 1}, export=export))
    served = Embedder("store:toy-embed")
    assert (served.model, served.version, served.backend) == ("toy-embed@1", done.version, "onnx")
    found = served.embed(TEXTS)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)
    assert (np.concatenate([served.embed([text]) for text in TEXTS]) == found).all()
    weights = np.array([answer["vector"].vector for answer in load("toy-embed", backend="torch").predict(TEXTS)])
    assert np.abs(weights - found).max() < (1e-5 if precision == "fp32" else 0.1)
    code = (
        "from engine import Embedder; e = Embedder('store:toy-embed'); print(e.embed(['Profit', '利润下降']).tolist())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert json.loads(told) == served.embed(["Profit", "利润下降"]).tolist()
    (loss,) = done.version.manifest()["export"]["losses"]
    assert loss["metric"] == "ndcg10"
    assert loss["torch"] > 0


def test_transformers_and_sentence_transformers_read_a_version_and_give_the_same_vectors(
    recipe: Callable[..., Recipe], toy_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sentence_transformers
    import transformers

    from engine import base_models

    real = base_models.resolve
    given = base_models.BaseModel("toy", toy_base, "encoder", prefix="query: ", pair_prefix="passage: ")
    monkeypatch.setattr(base_models, "resolve", lambda name: given if name == str(toy_base) else real(name))
    folder = train(recipe()).version.folder / "model"
    served = Embedder("store:toy-embed")
    texts = ["Profit fell 12% on weak demand", "利润下降", "Rates stay unchanged " * 20]
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    assert np.abs(theirs.encode_query(texts) - served.embed(texts)).max() < 1e-5
    assert np.abs(theirs.encode_document(texts) - served.embed(texts, side="pair")).max() < 1e-5
    assert np.abs(served.embed(texts) - served.embed(texts, side="pair")).max() > 1e-3
    tokenizer, plain = (kind.from_pretrained(folder) for kind in (transformers.AutoTokenizer, transformers.AutoModel))
    inputs = tokenizer("query: " + texts[0], return_tensors="pt")
    inputs.pop("token_type_ids", None)
    with torch.inference_mode():
        mean = plain(**inputs).last_hidden_state[0].mean(0).numpy()
    assert np.abs(mean / np.linalg.norm(mean) - served.embed(texts[:1])[0]).max() < 1e-5
    again = base_models.resolve("store:toy-embed")
    assert (again.prefix, again.pair_prefix) == ("query: ", "passage: ")


def test_every_form_of_a_version_is_measured(recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "ROUNDS", 1)
    monkeypatch.setattr(speed, "SINGLE", 2)
    monkeypatch.setattr(speed, "TIMED", 8)
    made = train(recipe(export={"format": "onnx", "max_quality_loss": 1.0})).version
    by_likeness = speed.measure("toy-embed", only=["onnx", "onnx-fp32"])
    assert [row.form for row in by_likeness.forms] == ["torch", "onnx", "onnx-fp32"]
    exact, int8, fp32 = (row.quality["vector"] for row in by_likeness.forms)
    assert exact == pytest.approx(1.0)
    assert fp32 == pytest.approx(1.0, abs=1e-6)
    assert 0.9 < int8 < 1.0
    (pairs,) = Recipe.load(made.folder / "recipe.yaml").data.train
    by_rank = speed.measure("toy-embed", data=pairs, only=["onnx"])
    assert by_rank.quality.startswith("ndcg10 of vector on ")


def test_pairs_are_answered_by_their_likeness_and_a_file_of_them_is_evaluated(
    recipe: Callable[..., Recipe], write: Callable[[str, str], Path]
) -> None:
    done = train(recipe({"matryoshka": [8]}))
    predictor = load("toy-embed")
    pair = ("Profit fell 12%", "Earnings were down")
    (answer,) = predictor.predict([pair])
    vectors = Embedder("store:toy-embed").embed(pair)
    assert answer["vector"].likeness == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-6)
    assert answer["vector"].vector == pytest.approx(vectors[0].tolist(), abs=1e-6)
    assert predictor.predict([pair[0]])[0]["vector"].likeness is None
    file = write("mine.csv", 'ask,answer\n"Profit fell","Earnings were down"\n"利润下降","利润减少"\n')
    figures = evaluate(
        done.version, str(file), ["data.columns={text: ask, pair: answer}", "data.split.group=null"]
    ).figures
    assert figures.rows == 2
    assert 0 < figures.heads["vector"]["mrr"].value <= 1
    short = Embedder("store:toy-embed", width=8).embed([pair[0]])
    assert short.shape == (1, 8)
    assert short[0] == pytest.approx(vectors[0, :8] / np.linalg.norm(vectors[0, :8]), abs=1e-6)
    with pytest.raises(InputError, match="width 64: the vectors of toy-embed@1 have 32 numbers"):
        Embedder("store:toy-embed", width=64)


def test_an_export_that_finds_worse_is_refused_with_figures(
    recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter writes another model's weights, as a broken tool would; the real fresh process must notice."""
    from engine.export import onnx

    def spoilt(model: Any, *rest: Any, precision: str) -> Path:
        with torch.no_grad():
            for value in model.encoder.parameters():
                value.copy_(torch.randn(value.shape, generator=torch.Generator().manual_seed(0)))
        return real(model, *rest, precision=precision)

    real = onnx.export
    monkeypatch.setattr(onnx, "export", spoilt)
    with pytest.raises(ExportError, match=r"loses more than export.max_quality_loss = 0.01 .*ndcg10 0\.\d+ in torch"):
        train(recipe(tuning=LEARNS, export={"format": "onnx", "precision": "fp32", "max_quality_loss": 0.01}))
    assert Store().versions("toy-embed") == []


def test_what_cannot_be_done_is_told(recipe: Callable[..., Recipe], write: Callable[[str, str], Path]) -> None:
    with pytest.raises(RecipeError, match=r"task.matryoshka: 32 is no shorter width; .* gives 32 numbers"):
        train(recipe({"matryoshka": [32, 8]}))
    with pytest.raises(RecipeError, match="margin is for mined negatives; set hard_negatives"):
        recipe({"margin": 0.1})
    with pytest.raises(RecipeError, match=r"tuning.label_smoothing is about heads, and task embed has none"):
        recipe(tuning={"label_smoothing": 0.1})
    with pytest.raises(RecipeError, match=r"tuning.method ia3 cannot tune task embed; it can: full, lora"):
        recipe(tuning={"method": "ia3"})
    file = write("alone.jsonl", '{"text": "Profit fell"}\n' * 3)
    with pytest.raises(DataError, match=r"no field 'pair'; set data.columns.pair"):
        train(recipe(data={"train": str(file)}))
    with pytest.raises(RecipeError, match=r"data.split.dev: 0 leaves no rows to stop on"):
        train(recipe(data={"train": str(file), "split": {"dev": 0}}))


def test_the_best_possible_gain_is_that_of_the_first_place() -> None:
    rows = [row(text, text + "!") for text in "abcdefghijkl"]
    vectors = np.repeat(np.eye(12)[:, None], 2, axis=1)
    assert scores(rows, vectors)["ndcg10"].tolist() == [1.0] * 12
    vectors[0, 1] = -vectors[0, 0]  # last of twelve: beyond the tenth place
    found = scores(rows, vectors)
    assert (found["ndcg10"][0], found["recall10"][0], found["mrr"][0]) == (0, 0, 1 / 12)
    assert math.isclose(found["ndcg10"][1], 1)
