"""The road from recipe to version, on toy models: whole, honest and repeatable."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import Predictor, Recipe, Store, load, train
from engine.errors import DataError, ExportError, InputError, LeakError, RecipeError
from engine.evaluate.held_out import evaluate

Toy = Callable[..., Recipe]
TEXTS = ["Profit fell 12% on weak demand", "利润下降", "", "x" * 3000, "\ud83d half a pair", "Rates stay unchanged"]


def test_a_version_is_made_promoted_and_read_back(toy_recipe: Toy) -> None:
    done = train(toy_recipe())
    store = Store()
    assert store.get("toy") == done.version
    assert store.verify(done.version) == []
    manifest = done.version.manifest()
    assert manifest["rows"]["test"] == done.figures.rows
    assert (
        manifest["metrics"]["heads"]["sentiment"]["macro_f1"]["low"]
        <= done.figures.heads["sentiment"]["macro_f1"].value
    )
    assert len(manifest["data_sha256"]) == 1
    assert Recipe.load(done.version.folder / "recipe.yaml").digest() == manifest["recipe_sha256"]
    assert not list((store.root / "toy").glob(".unfinished-*"))
    found = load("toy").predict(TEXTS)
    assert len(found) == len(TEXTS)
    for prediction in found:
        assert prediction.model == "toy@1"
        assert sum(prediction["sentiment"].probabilities.values()) == pytest.approx(1)
        assert prediction["sentiment"].label == max(
            prediction["sentiment"].probabilities, key=prediction["sentiment"].probabilities.__getitem__
        )


def test_a_second_version_does_not_take_the_champions_place_unasked(toy_recipe: Toy) -> None:
    train(toy_recipe())
    second = train(toy_recipe())
    assert not second.promoted
    assert Store().get("toy").number == 1
    third = train(toy_recipe(), promote=True)
    assert Store().get("toy") == third.version


def test_the_same_recipe_and_seed_give_the_same_weights(toy_recipe: Toy) -> None:
    hashes = [train(toy_recipe()).version.manifest()["files"]["model/model.safetensors"] for _ in range(2)]
    assert hashes[0] == hashes[1]
    other = train(toy_recipe(seeds=[14])).version.manifest()["files"]["model/model.safetensors"]
    assert other != hashes[0]


def test_several_seeds_give_means_and_store_the_best_on_dev(toy_recipe: Toy) -> None:
    done = train(toy_recipe(seeds=[1, 2]))
    manifest = done.version.manifest()
    assert manifest["seeds"] == [1, 2]
    assert manifest["seed"] in (1, 2)


def test_a_fresh_process_gives_equal_answers(toy_recipe: Toy) -> None:
    train(toy_recipe())
    code = "import json; from engine import load; p = load('toy').probabilities(['Profit fell', '利润'])['sentiment']"
    done = subprocess.run(
        [sys.executable, "-c", code + "; print(json.dumps(p.tolist()))"], capture_output=True, check=True
    )
    assert json.loads(done.stdout) == load("toy").probabilities(["Profit fell", "利润"])["sentiment"].tolist()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_export_answers_alike_and_never_looks_at_neighbours(toy_recipe: Toy, precision: str) -> None:
    done = train(toy_recipe(export={"format": "onnx", "precision": precision, "max_quality_loss": 1.0}))
    onnx, torch = (load("toy", backend=backend) for backend in ("onnx", "torch"))
    assert (onnx.backend, load("toy").backend) == ("onnx", "onnx")
    texts = [f"{text} {number}" for number in range(8) for text in TEXTS[:4]]
    together = onnx.probabilities(texts)
    for name, values in together.items():
        assert np.abs(values - torch.probabilities(texts)[name]).max() < (1e-4 if precision == "fp32" else 0.1)
        alone = np.concatenate([onnx.probabilities([text])[name] for text in texts])
        assert (alone == values).all()
    assert len(done.version.manifest()["export"]["losses"]) == 2


def test_an_export_that_loses_too_much_is_refused_with_figures_and_nothing_is_stored(
    toy_recipe: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter writes another model's weights, as a broken tool would; the real fresh process must notice."""
    import torch

    from engine.export import onnx

    def spoilt(model: Any, *rest: Any, precision: str) -> Path:
        with torch.no_grad():
            for layer in model.heads.values():
                layer.weight.neg_()
                layer.bias.neg_()
        return real(model, *rest, precision=precision)

    real = onnx.export
    monkeypatch.setattr(onnx, "export", spoilt)
    export = {"format": "onnx", "precision": "fp32", "max_quality_loss": 0.01}
    learns = {"epochs": 4, "batch_tokens": 512, "max_length": 48, "learning_rate": 3e-3, "early_stopping": 0}
    with pytest.raises(ExportError, match=r"loses more than export.max_quality_loss = 0.01 .*macro_f1 0\.\d+ in torch"):
        train(toy_recipe(export=export, tuning=learns))
    assert Store().versions("toy") == []


def test_leaks_stop_training_or_are_dropped(toy_recipe: Toy, tmp_path: Path) -> None:
    rows = (tmp_path / "rows.jsonl").read_text().splitlines()
    test = tmp_path / "test.jsonl"
    leaked = {**json.loads(rows[0]), "story": "another"}
    test.write_text(
        json.dumps(leaked) + "\n" + json.dumps({**leaked, "title": "Something else entirely", "story": "s"}) + "\n"
    )
    data = {"train": str(tmp_path / "rows.jsonl"), "test": str(test), "columns": {"text": "title"}}
    with pytest.raises(LeakError, match=r"(?s)1 leaks.*exact: "):
        train(toy_recipe(data=data))
    done = train(toy_recipe(data={**data, "on_leak": "drop"}))
    assert done.dropped == 1
    assert done.rows["test"] == 2


def test_no_calibration_rows_is_an_error_not_a_fallback(toy_recipe: Toy, tmp_path: Path) -> None:
    data = {"train": str(tmp_path / "rows.jsonl"), "columns": {"text": "title"}, "split": {"calibration": 0}}
    with pytest.raises(RecipeError, match=r"data.split.calibration: 0 leaves no rows to calibrate on"):
        train(toy_recipe(data=data))


def test_bad_rows_are_set_aside_and_too_many_stop_the_run(toy_recipe: Toy, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(rows.read_text() + '{"title": "no such label", "sentiment": "negatve"}\n{"title": \n')
    done = train(toy_recipe())
    assert done.rejected == 2
    kept = [json.loads(line) for line in (done.run / "rejected.jsonl").read_text().splitlines()]
    assert [bad["line"] for bad in kept] == [241, 242]
    rows.write_text(rows.read_text() + "broken\n" * 40)
    with pytest.raises(DataError, match=r"42 of 282 rows are bad"):
        train(toy_recipe())


def test_a_version_is_evaluated_on_a_file_of_the_users(toy_recipe: Toy, tmp_path: Path) -> None:
    done = train(toy_recipe())
    file = tmp_path / "mine.csv"
    file.write_text("headline,sentiment\nProfit fell,negative\nProfit rose,positive\nA meeting,neutral\n")
    figures = evaluate(done.version, str(file), ["data.columns.text=headline"]).figures
    assert figures.rows == 3
    assert set(figures.heads) == {"sentiment"}


def test_what_cannot_be_answered_is_told(toy_recipe: Toy) -> None:
    with pytest.raises(InputError, match="no such model"):
        load("toy")
    done = train(toy_recipe())
    with pytest.raises(InputError, match="has no ONNX export"):
        load("toy", backend="onnx")
    with pytest.raises(InputError, match="predict takes texts, or pairs of them; got int"):
        load("toy").predict([3])  # type: ignore[list-item]
    assert isinstance(Predictor.open(done.version.folder), Predictor)


def test_columns_that_are_not_there_are_told(toy_recipe: Callable[..., Recipe]) -> None:
    data = toy_recipe().data.model_dump(exclude_unset=True)
    with pytest.raises(DataError, match=r"no row of .* has the column 'storry'"):
        train(toy_recipe(data={**data, "split": {"group": "storry"}}))
    with pytest.raises(RecipeError, match="no such name 'sentimnt'; known: language, pair, sentiment, text, topics"):
        train(toy_recipe(data={**data, "columns": {"text": "title", "sentimnt": "tone"}}))


def test_evaluation_counts_bad_rows_and_knows_its_train_file(
    toy_recipe: Callable[..., Recipe], write: Callable[[str, str | bytes], Path]
) -> None:
    done = train(toy_recipe())
    file = done.version.manifest()["data_sha256"]
    (name,) = file
    known = evaluate(done.version, name)
    assert known.taught
    assert known.rejected == []
    rows = Path(name).read_text().splitlines()[:30]
    other = evaluate(done.version, str(write("other.jsonl", "\n".join([*rows, "{cut off"]) + "\n")))
    assert not other.taught
    assert [(bad.line, bad.row) for bad in other.rejected] == [(31, "{cut off")]
    assert other.figures.rows == 30
    with pytest.raises(DataError, match="2 of 3 rows are bad"):
        evaluate(done.version, str(write("bad.jsonl", f"{rows[0]}\nx\ny\n")))
