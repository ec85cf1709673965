"""Pruning and derived versions: neurons leave, the model stays one that AutoModel reads, and the figures are told."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import Recipe, load, speed, train
from engine.base_models import resolve
from engine.errors import DataError, InputError
from engine.export import prune
from engine.export.derived import derive, opened
from engine.store import Store
from engine.tasks.encoder import EncoderModel

Toy = Callable[..., Recipe]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "ROUNDS", 1)
    monkeypatch.setattr(speed, "SINGLE", 2)


def pruned(keep: float) -> Callable[..., Any]:
    return lambda source, place: prune.neurons(source, place, keep=keep)


def says(model: EncoderModel, ids: list[list[int]]) -> torch.Tensor:
    given = torch.tensor(ids)
    with torch.no_grad():
        found: torch.Tensor = model.eval()(given, torch.ones_like(given))["logits_sentiment"]
    return found


def test_pruned_neurons_make_a_smaller_version_beside_its_parent(toy_recipe: Toy) -> None:
    old = train(toy_recipe(export={"precision": "fp32", "max_quality_loss": 1.0})).version
    derived = derive(old, pruned(0.5))
    assert derived.version is not None
    assert Store().verify(derived.version) == []
    assert Store().aliases("toy") == {"champion": 1}
    manifest = derived.version.manifest()
    assert manifest["derived"]["neurons"] == {"before": 64, "after": 32}
    assert manifest["derived"]["parent_sha256"] == old.sha256()
    assert manifest["parents"] == ["toy@1"]
    assert manifest["rows"] == old.manifest()["rows"]
    assert derived.before.parameters - derived.after.parameters == 2 * (2 * 32 * 32 + 32)  # two layers of width 32
    assert manifest["parameters"]["all"] == derived.after.parameters
    assert derived.smaller > 0
    assert set(derived.lost) == {"sentiment", "topics"}
    assert {head: of["macro_f1"]["value"] for head, of in manifest["metrics"]["heads"].items()} == derived.after.quality
    onnx, exact = (load("toy@2", backend=backend).logits(["Profit fell", "利润"]) for backend in ("onnx", "torch"))
    assert abs(onnx["sentiment"] - exact["sentiment"]).max() < 1e-4


def test_a_pruned_version_is_read_by_transformers_and_tuned_on(toy_recipe: Toy) -> None:
    import transformers

    version = derive(train(toy_recipe()).version, pruned(0.25)).version
    assert version is not None
    model = transformers.AutoModel.from_pretrained(version.folder / "model", add_pooling_layer=False)
    assert model.config.intermediate_size == 16
    assert model.encoder.layer[1].output.dense.weight.shape == (32, 16)
    assert resolve(f"store:{version}").kind == "encoder"
    assert train(toy_recipe(base=f"store:{version}")).version.number == 3


def test_neurons_that_do_nothing_go_first_and_nothing_changes(toy_recipe: Toy) -> None:
    source = opened(train(toy_recipe()).version)
    model = copy.deepcopy(source.learned.model)
    dead = list(range(1, 64, 2))
    with torch.no_grad():
        for layer in model.encoder.encoder.layer:
            layer.output.dense.weight[:, dead] = 0.0
    ids = [[2, 40, 50, 60, 3], [2, 41, 51, 61, 3]]
    before = says(model, ids)
    for layer in prune.judged(model, prune._sample(source)):
        assert not layer.importance[dead].any()
        prune.cut(layer, 32)
    assert torch.allclose(says(model, ids), before, atol=1e-5)


def test_a_constant_neuron_lives_on_in_the_bias_and_a_rare_one_does_not(toy_recipe: Toy) -> None:
    source = opened(train(toy_recipe()).version)
    model = copy.deepcopy(source.learned.model)
    first = model.encoder.encoder.layer[0]
    with torch.no_grad():
        first.intermediate.dense.weight[5] = 0.0
        first.intermediate.dense.bias[5] = 3.0
    layer = prune.judged(model, prune._sample(source))[0]
    assert layer.mean[5] == pytest.approx(float(torch.nn.functional.gelu(torch.tensor(3.0))), rel=1e-4)
    assert (layer.mean == 0).any()  # those that vary more than they stay
    layer.importance[5] = -1.0
    ids = [[2, 40, 50, 60, 3]]
    before = says(model, ids)
    prune.cut(layer, 63)
    assert torch.allclose(says(model, ids), before, atol=1e-5)


def test_zeroed_weights_are_measured_and_not_stored(toy_recipe: Toy) -> None:
    old = train(toy_recipe()).version
    derived = derive(old, lambda source, place: prune.weights(source, place, keep=0.3), keep=False)
    assert derived.version is None
    assert [version.number for version in Store().versions("toy")] == [1]
    assert derived.smaller == pytest.approx(0.0, abs=0.01)
    change = prune.weights(opened(old), Path(), keep=0.3)
    weight = change.model.encoder.encoder.layer[0].output.dense.weight
    assert (weight == 0).float().mean() == pytest.approx(0.7, abs=0.01)


def test_changed_data_are_refused_since_the_cut_would_be_another(toy_recipe: Toy, tmp_path: Path) -> None:
    version = train(toy_recipe()).version
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    (tmp_path / "rows.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DataError, match="its data have changed since it was trained"):
        derive(version, pruned(0.5))


def test_a_model_with_an_adapter_is_refused(toy_recipe: Toy) -> None:
    tuning = {"method": "adapter", "rank": 4, "epochs": 1, "batch_tokens": 512, "max_length": 48}
    version = train(toy_recipe(tuning=tuning)).version
    with pytest.raises(InputError, match="carries an adapter"):
        derive(version, pruned(0.5))


def test_layers_that_cannot_be_told_apart_are_refused() -> None:
    import transformers

    config = transformers.ModernBertConfig(
        vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
    )  # fmt: skip
    with pytest.raises(InputError, match="cannot be told apart"):
        list(prune._feed_forward(transformers.ModernBertModel(config)))


@pytest.mark.system
def test_the_command_says_what_pruning_brings_and_costs(toy_recipe: Toy, home: Path) -> None:
    train(toy_recipe())
    command = [str(Path(sys.executable).parent / "engine"), "export", "prune", "toy", "--keep", "0.5"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["version"] == "toy@2"
    assert told["after"]["parameters"] < told["before"]["parameters"]
    done = subprocess.run([*command, "--method", "weights"], capture_output=True, text=True, check=True)
    assert "Nothing is stored: zeros are multiplied" in done.stdout
    done = subprocess.run([*command, "--method", "heads"], capture_output=True, text=True, check=False)
    assert (done.returncode, "choose neurons or weights" in done.stderr) == (2, True)
