"""The exported int8 model against `transformers.pipeline` on the same sentences in one process."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.contract import Figures, public_data
from bench.held_out import figures
from bench.seeds import trained
from engine import Predictor, Progress, Recipe
from engine.data import sources
from engine.tasks.heads import specs

ROUNDS = 3
NEIGHBOURS = 31


def run(*, seeds: int) -> Figures:
    """Items/s of both in turns (the best of three rounds each), macro F1 of both, and what neighbours change."""
    file = str(public_data("financial_phrasebank") / "50agree_test.csv")
    recipe = Recipe.load("recipes/bench/phrasebank.yaml")
    with Progress() as progress:
        version = trained(recipe, 1, progress)[0]
        texts = [row.text for row in sources.load([file], recipe.data, specs(recipe.task)).rows]
        exported = Predictor.open(version.folder, backend="onnx")
        exported.predict(texts[:64])
        with TemporaryDirectory() as folder:
            pipeline = _pipeline(version.folder / "model", Path(folder))
            pipeline(texts[:64], batch_size=32)
            ours, theirs = [], []
            for number in range(ROUNDS):
                progress.stage(f"round {number + 1} of {ROUNDS}: {len(texts)} sentences each")
                ours.append(_rate(lambda: exported.predict(texts), len(texts)))
                theirs.append(_rate(lambda: pipeline(texts, batch_size=32), len(texts)))
        torch_f1 = _torch_macro_f1(version, file)
        onnx_f1 = figures([version], file).heads["sentiment"]["macro_f1"].value
        difference = _neighbour_difference(exported, texts[:128])
    found = {
        "speedup_vs_pipeline": max(ours) / max(theirs),
        "macro_f1_loss": torch_f1 - onnx_f1,
        "neighbour_difference": difference,
    }
    return Figures(found, settings={"items_per_s": round(max(ours), 1), "pipeline_items_per_s": round(max(theirs), 1)})


def _pipeline(model: Path, folder: Path) -> Any:
    """The same encoder as a stock sequence classifier: what a user would run without Keel."""
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(model, num_labels=3)
    return transformers.pipeline("text-classification", model=stock, tokenizer=tokenizer, device="cpu")


def _rate(work: Any, count: int) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def _torch_macro_f1(version: Any, file: str) -> float:
    from engine.evaluate.held_out import said
    from engine.evaluate.report import measure

    recipe = Recipe.load(version.folder / "recipe.yaml")
    rows = sources.load([file], recipe.data, specs(recipe.task)).rows
    predictor = Predictor.open(version.folder, backend="torch")
    return (
        measure(predictor.spec.heads, rows, [said(predictor, rows)], [predictor.temperatures])
        .heads["sentiment"]["macro_f1"]
        .value
    )


def _neighbour_difference(predictor: Predictor, texts: list[str]) -> float:
    """Largest change of a probability between a text alone and among 31 others; 0 is bitwise equal."""
    together: dict[str, Any] = {}
    for start in range(0, len(texts), NEIGHBOURS + 1):
        for name, values in predictor.probabilities(texts[start : start + NEIGHBOURS + 1]).items():
            together.setdefault(name, []).append(values)
    alone = [predictor.probabilities([text]) for text in texts]
    return max(
        float(np.abs(np.concatenate(values) - np.concatenate([one[name] for one in alone])).max())
        for name, values in together.items()
    )
