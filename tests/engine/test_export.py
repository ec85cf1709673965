"""Forms of a stored model: made into the cache, asked in a fresh process, chosen by what was measured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import Recipe, speed, train
from engine.data.rows import Row
from engine.errors import ExportError, InputError, StoreError
from engine.export import choice, forms, mixed, onnx, openvino, roundtrip
from engine.export.agreement import agreement
from engine.export.forms import Form
from engine.predictor import Predictor
from engine.speed import Speed
from engine.store import Store, Version
from engine.tasks import encoder
from engine.tasks.encoding import Rows, encoded
from engine.tasks.headed import tokenizer_of
from engine.tasks.heads import HeadSpec, ModelSpec
from engine.tasks.kinds import Output

DERIVED: list[Form] = ["onnx-fp32", "openvino", "openvino-int8"]
TEXTS = ["Profit fell 12% on weak demand", "利润下降", "", "Shares rise", "Bank x" * 30, "fraud probe widens"] * 4
needs_openvino = pytest.mark.skipif(not openvino.is_installed(), reason="the extra openvino is not installed")


@pytest.fixture(scope="module")
def stored(
    tmp_path_factory: pytest.TempPathFactory, toy_base: Path, headlines: list[dict[str, Any]]
) -> Iterator[Version]:
    """A two-headed toy version with an int8 export, its forms made, in a home of this module."""
    home = tmp_path_factory.mktemp("export-home")
    file = home / "rows.jsonl"
    chosen = [item for item in headlines if item["lang"] == "en"][::15][:240]
    file.write_text("".join(json.dumps(item) + "\n" for item in chosen), encoding="utf-8")
    topics = sorted({topic for item in headlines for topic in item["topics"]})
    values = {
        "name": "toy",
        "base": str(toy_base),
        "task": {
            "kind": "classify",
            "heads": {
                "sentiment": {"labels": ["negative", "neutral", "positive"]},
                "topics": {"labels": topics, "multi_label": True},
            },
        },
        "data": {"train": str(file), "columns": {"text": "title"}, "split": {"group": "story"}},
        "tuning": {"epochs": 1, "batch_tokens": 512, "max_length": 48},
        "export": {"precision": "int8", "max_quality_loss": 1.0},
        "track": [],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(home))
        version = train(Recipe.parse(values)).version
        forms.make(version.folder, "onnx-fp32", TEXTS)
        if openvino.is_installed():
            for form in DERIVED:
                forms.make(version.folder, form, TEXTS)
        yield version


@pytest.fixture
def here(stored: Version, monkeypatch: pytest.MonkeyPatch) -> Version:
    """The stored version, in its own home."""
    monkeypatch.setenv("KEEL_HOME", str(stored.folder.parents[2]))
    return stored


def test_a_version_stays_as_it_is_when_forms_of_it_are_made(here: Version) -> None:
    assert Store().verify(here) == []
    place = forms.locate(here.folder, "onnx-fp32")
    assert place is not None
    assert not place.is_relative_to(here.folder)


@pytest.mark.parametrize("form", [DERIVED[0], *(pytest.param(form, marks=needs_openvino) for form in DERIVED[1:])])
def test_a_form_answers_as_torch_does_is_stable_and_never_looks_at_neighbours(here: Version, form: Form) -> None:
    exact, model = (Predictor.open(here.folder, backend=backend) for backend in ("torch", form))
    together, torches = model.outputs(TEXTS), exact.outputs(TEXTS)
    bound = {"onnx-fp32": 1e-4, "openvino": 2e-2, "openvino-int8": 1e-1}[form]
    for head, said in together.items():
        for one, other in zip(said, torches[head], strict=True):
            assert np.abs(one.logits - other.logits).max() < bound
    alone = [model.outputs([text]) for text in TEXTS]
    again = Predictor.open(here.folder, backend=form).outputs(TEXTS[::-1])
    for head, said in together.items():
        for number, one in enumerate(said):
            assert (one.logits == alone[number][head][0].logits).all()
            assert (one.logits == again[head][::-1][number].logits).all()
    assert model.predict(["Profit fell"])[0].backend == form


def test_the_export_is_asked_in_a_fresh_process_and_says_the_same_there(here: Version, tmp_path: Path) -> None:
    rows = [Row(text, {}, None, "") for text in TEXTS]
    model = Predictor.open(here.folder, backend="onnx")
    trained, expected = Predictor.open(here.folder, backend="torch").outputs(TEXTS), model.outputs(TEXTS)
    found = roundtrip.exported(here.folder, rows, trained)
    for head, outputs in expected.items():
        assert [one.logits.tolist() for one in found[head]] == [one.logits.tolist() for one in outputs]
    nothing: dict[str, list[Output]] = {head: [] for head in expected}
    assert roundtrip.exported(here.folder, [], nothing) == nothing
    broken = shutil.copytree(here.folder, tmp_path / "broken")
    (broken / "onnx" / onnx.FILE).write_bytes(b"cut off")
    with pytest.raises(ExportError, match=r"does not load in a fresh process: (?s:.*)engine models verify"):
        roundtrip.exported(broken, rows, trained)


def test_a_form_that_is_not_made_says_how_to_make_it(here: Version) -> None:
    place = forms.locate(here.folder, "onnx-fp32")
    assert place is not None
    aside = place.rename(place.with_name("aside"))
    try:
        with pytest.raises(
            InputError, match="toy@1: not made here as onnx-fp32; run: engine export convert toy@1 onnx"
        ):
            Predictor.open(here.folder, backend="onnx-fp32", model="toy@1")
    finally:
        aside.rename(place)
    assert forms.locate(here.folder, "onnx-int8") == forms.locate(here.folder, "onnx")  # the stored precision


def test_forms_are_of_stored_versions_only(here: Version, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match="has no ONNX export"):
        forms.make(tmp_path, "onnx-fp32", TEXTS)
    assert choice.automatic(tmp_path) == "torch"


@needs_openvino
def test_openvino_tells_no_one_that_it_is_used(here: Version) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.predictor import Predictor;"
        "p = Predictor.open(Path(sys.argv[1]), backend='openvino'); p.predict(['a', 'b', 'c', 'd']);"
        "print([name for name, module in sys.modules.items() if module and 'openvino_telemetry' in name])"
    )
    command = [sys.executable, "-c", code, str(here.folder)]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout == "[]\n"


@needs_openvino
def test_openvino_answers_many_callers_at_once(here: Version) -> None:
    place = forms.locate(here.folder, "openvino")
    assert place is not None
    session = openvino.OpenVinoSession(place)
    asked = [[1, 5 + number % 90, 2] * (1 + number % 7) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(session, asked))
    for ids, outputs in zip(asked[::17], found[::17], strict=True):
        assert all((one == other).all() for one, other in zip(outputs, session(ids), strict=True))


def test_auto_is_what_bench_chose_while_it_is_there(here: Version) -> None:
    assert choice.automatic(here.folder) == "onnx"
    choice.choose(here.folder, "onnx-fp32", model="toy@1")
    try:
        assert Predictor.open(here.folder).backend == "onnx-fp32"
        choice.choose(here.folder, "openvino-int8" if not openvino.is_installed() else "onnx-int8")
        assert choice.automatic(here.folder) in ("onnx", "onnx-int8")
        (note,) = json.loads((Path(forms.resources.home()) / "cache" / "backends.json").read_text()).values()
        assert list(note) == [choice.processor()]
    finally:
        (Path(forms.resources.home()) / "cache" / "backends.json").unlink()
    assert choice.automatic(here.folder) == "onnx"


@pytest.mark.parametrize("damaged", ["", "[1]", '{"a": 3}', '{"a": {"b": '])
def test_a_damaged_file_of_choices_counts_as_none(here: Version, damaged: str) -> None:
    path = forms.resources.home() / "cache" / "backends.json"
    path.write_text(damaged)
    try:
        assert choice.automatic(here.folder) == "onnx"
        choice.choose(here.folder, "torch")
        assert choice.automatic(here.folder) == "torch"
    finally:
        path.unlink()


def test_a_chosen_form_whose_file_is_damaged_says_where_it_lies(here: Version) -> None:
    place = forms.locate(here.folder, "onnx-fp32")
    assert place is not None
    whole = place.read_bytes()
    place.write_bytes(b"no model")
    try:
        with pytest.raises(
            StoreError, match=r"remove .*forms.*onnx-fp32 and run: engine export convert toy@1 onnx-fp32"
        ):
            Predictor.open(here.folder, backend="onnx-fp32", model="toy@1")
    finally:
        place.write_bytes(whole)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "ROUNDS", 1)
    monkeypatch.setattr(speed, "SINGLE", 3)
    monkeypatch.setattr(speed, "TIMED", 20)


def test_bench_measures_speed_memory_size_and_agreement(here: Version, quick: None) -> None:
    found = speed.measure("toy", only=["onnx", "onnx-fp32"])
    assert [row.form for row in found.forms] == ["torch", "onnx", "onnx-fp32"]
    exact, int8, fp32 = found.forms
    assert (exact.quality, exact.lost) == ({"sentiment": 1.0, "topics": 1.0}, 0.0)
    assert int8.disk_mb < fp32.disk_mb
    for row in found.forms:
        assert row.texts_per_s > 0
        assert 0 < row.p50_ms <= row.p99_ms
        assert row.memory_mb > 0
    assert exact.memory_mb > int8.memory_mb  # torch alone weighs more
    assert found.quality.startswith("agreement with torch on ")


def test_bench_on_labelled_rows_gives_the_main_figures(here: Version, quick: None) -> None:
    found = speed.measure("toy", data=str(here.folder.parents[2] / "rows.jsonl"), only=["onnx"])
    assert found.quality.startswith("macro_f1 of sentiment, macro_f1 of topics on 240 rows of ")
    assert all(0 <= value <= 1 for row in found.forms for value in row.quality.values())


def test_bench_refuses_what_there_is_not(here: Version, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tpu: no such form; choose among torch, onnx, "):
        speed.measure("toy", only=["tpu"])
    (tmp_path / "none.txt").write_text("\n \n")
    with pytest.raises(InputError, match="holds no text"):
        speed.measure("toy", texts=str(tmp_path / "none.txt"))


def row(form: Form, rate: float, lost: float) -> Speed:
    return Speed(form, rate, 1.0, 1.0, 1.0, 1.0, {}, lost)


def test_the_fastest_form_within_the_bound_is_chosen() -> None:
    found = [row("torch", 50, 0), row("onnx", 200, 0.01), row("openvino", 260, 0.001), row("openvino-int8", 400, 0.2)]
    assert speed.pick(found, allowed=0.02) == "openvino"
    assert speed.pick(found, allowed=0.5) == "openvino-int8"
    assert speed.pick(found[:2], allowed=0.0) == "onnx"  # the stored export was checked when it was stored
    assert speed.pick([row("torch", 50, 0), row("onnx-fp32", 100, 0.3)], allowed=0.1) == "torch"
    assert speed.pick([row("onnx", 200, 0), row("openvino", 215, 0)], allowed=0.1) == "onnx"  # the machine's mood


def test_agreement_knows_labels_spans_and_numbers(here: Version) -> None:
    model = Predictor.open(here.folder, backend="torch")
    sentiment = model.spec.heads[0]
    one = [Output(np.array([2.0, 0.0, 0.0])), Output(np.array([0.0, 1.0, 0.0]))]
    other = [Output(np.array([1.0, 0.0, 0.9])), Output(np.array([0.0, 1.0, 1.1]))]
    assert agreement(model, sentiment, ["a", "b"], one, other) == 0.5
    number = HeadSpec("size", "regression")
    ones, others = ([Output(np.array([value])) for value in values] for values in ([0.0, 1.0], [0.001, 2.0]))
    assert agreement(model, number, ["a", "b"], ones, others) == 0.5


@pytest.fixture
def sensitive(here: Version, tmp_path: Path) -> tuple[encoder.EncoderModel, Path, Rows, list[Row]]:
    """A model whose embeddings int8 spoils: the row of one unused word is far larger than all others, so that one scale
    for all leaves little of them. The probes' labels are what the model itself says."""
    folder = tmp_path / "version"
    for name in ("model", "onnx"):
        (folder / name).mkdir(parents=True)
    model = encoder.load(here.folder / "model")
    with torch.no_grad():
        model.encoder.get_input_embeddings().weight[7] = 60.0
        for layer in model.heads.values():
            layer.weight.normal_(std=1.0, generator=torch.Generator().manual_seed(1))
    spec, tokenizer = ModelSpec.read(here.folder / "model"), tokenizer_of(here.folder / "model")
    encoder.save(model, tokenizer, spec, folder / "model")
    temperatures = {"temperatures": {head.name: 1.0 for head in spec.heads}}
    (folder / "calibration.json").write_text(json.dumps(temperatures))
    texts = [json.loads(line)["title"] for line in (here.folder.parents[2] / "rows.jsonl").read_text().splitlines()]
    said = Predictor.open(folder, backend="torch").predict(texts)
    probes = [
        Row(text, {"sentiment": found["sentiment"].label, "topics": found["topics"].labels}, None, "probes")
        for text, found in zip(texts, said, strict=True)
    ]
    return model, folder, encoded(probes[:32], tokenizer, spec), probes


def test_int8_leaves_out_the_layer_that_it_spoils(
    sensitive: tuple[encoder.EncoderModel, Path, Rows, list[Row]], toy_recipe: Callable[..., Recipe]
) -> None:
    import onnx as library

    model, folder, sample, probes = sensitive
    settings = toy_recipe(export={"precision": "int8", "max_quality_loss": 0.05}).export
    losses = mixed.export(model, folder, sample, probes, settings)
    assert {loss.fp32_layers for loss in losses} == {("embeddings",)}
    assert all(loss.lost <= 0.05 for loss in losses)
    graph = library.load(folder / "onnx" / "model.onnx").graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert types["model.encoder.embeddings.word_embeddings.weight"] == library.TensorProto.FLOAT
    assert sum(node.op_type == "MatMulInteger" for node in graph.node) >= 2 * 6  # two layers of six products


def test_int8_that_cannot_be_mended_is_refused_with_both_figures(
    sensitive: tuple[encoder.EncoderModel, Path, Rows, list[Row]],
    toy_recipe: Callable[..., Recipe],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, folder, sample, probes = sensitive
    monkeypatch.setattr(mixed, "MOST", 0.0)
    settings = toy_recipe(export={"precision": "int8", "max_quality_loss": 0.05}).export
    with pytest.raises(ExportError, match=r"macro_f1 1\.0000 in torch.*tried with up to half of the layers"):
        mixed.export(model, folder, sample, probes, settings)


def test_layers_of_a_graph_are_told_by_name(here: Version) -> None:
    place = forms.locate(here.folder, "onnx-fp32")
    assert place is not None
    assert list(onnx.layers(place)) == ["embeddings", "layer 0", "layer 1"]


def run(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    import os

    command = [str(Path(sys.executable).parent / "engine"), *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "KEEL_HOME": str(home)})


@pytest.mark.system
def test_the_commands_measure_choose_convert_and_answer(here: Version, tmp_path: Path) -> None:
    home = here.folder.parents[2]
    (tmp_path / "texts.txt").write_text("\n".join(text for text in TEXTS if text.strip()))
    words: Sequence[str] = ("bench", "toy", "--texts", str(tmp_path / "texts.txt"), "--form", "onnx-fp32", "--json")
    done = run(*words, home=home)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["auto"] in ("torch", "onnx-fp32")
    try:
        answered = json.loads(run("predict", "toy", "Profit fell", home=home).stdout)
        assert answered["backend"] == found["auto"]
    finally:
        (home / "cache" / "backends.json").unlink()
    done = run("export", "convert", "toy", "onnx-fp32", "--json", home=home)
    assert Path(json.loads(done.stdout)["path"]).is_file()
    done = run("export", "convert", "toy", "gguf", home=home)
    assert (done.returncode, "gguf: no such form" in done.stderr) == (2, True)
