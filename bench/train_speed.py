"""Seconds of a Banking77 training against plain Trainer, one after the other on this machine."""

from __future__ import annotations

import csv
import time
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.banking77 import RECIPE
from bench.contract import Figures, public_data
from engine import Progress, Recipe, Store, train
from engine.base_models import resolve

BATCH = 32


def run(*, seeds: int) -> Figures:
    """Both train the same rows for the same epochs, at the same rate and seed; each is timed around its training
    alone. Keel runs as it comes (batches by token budget, bf16 where the chip has it), Trainer as it comes too."""
    test = public_data("banking77") / "test.csv"
    ratios, differences = [], []
    with Progress() as progress:
        for seed in range(13, 13 + seeds):
            recipe = Recipe.load(RECIPE, [f"seeds=[{seed}]", "export.format=none", "track=[]"])
            progress.stage("Keel")
            with TemporaryDirectory() as place:
                timed = _Timed(progress)
                done = train(recipe, store=Store(root=_path(place)), watcher=timed, fresh=True)
                ours, seconds = done.figures.heads["intent"]["accuracy"].value, timed.seconds
            progress.stage(f"Keel: {seconds:.0f} s, accuracy {ours:.4f}; now plain Trainer")
            theirs, plain = _plain(recipe, seed, test)
            progress.stage(f"plain Trainer: {plain:.0f} s, accuracy {theirs:.4f}")
            ratios.append(seconds / plain)
            differences.append(theirs - ours)
    return Figures(
        {"time_ratio": float(np.mean(ratios)), "accuracy_difference": float(np.mean(differences))},
        settings={"seeds": seeds, "keel_s": round(seconds), "trainer_s": round(plain), "epochs": recipe.tuning.epochs},
    )


class _Timed:
    """Times from the first stage of tuning to that of measuring."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._start = 0.0
        self.seconds = 0.0

    def stage(self, text: str) -> None:
        if text.startswith("tuning"):
            self._start = time.perf_counter()
        elif text.startswith("measuring"):
            self.seconds = time.perf_counter() - self._start
        self._progress.stage(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._progress, name)


def _plain(recipe: Recipe, seed: int, test: Any) -> tuple[float, float]:
    """Test accuracy and seconds of the stock road: the same train rows, random batches of 32, padded to the longest."""
    import tempfile

    import torch
    import transformers

    from engine.training import prepare

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    head = next(iter(recipe.task.heads.values()))  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory() as place:
        parts, _, _ = prepare(recipe, _path(place))
        transformers.set_seed(seed)
        folder = resolve(recipe.base).folder
        start = time.perf_counter()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(head.labels))
        rows = [
            {**tokenizer(row.text, truncation=True, max_length=64), "labels": head.labels.index(row.labels["intent"])}
            for row in parts.train
        ]
        arguments = transformers.TrainingArguments(
            output_dir=place, num_train_epochs=recipe.tuning.epochs, learning_rate=recipe.tuning.learning_rate,
            per_device_train_batch_size=BATCH, warmup_steps=0.1, seed=seed, save_strategy="no", report_to=[],
            disable_tqdm=True, logging_strategy="no", use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=False,
        )  # fmt: skip
        collator = transformers.DataCollatorWithPadding(tokenizer)
        trainer = transformers.Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collator)  # type: ignore[arg-type]
        trainer.remove_callback(transformers.PrinterCallback)  # stdout is the result's
        trainer.train()
        seconds = time.perf_counter() - start
        with test.open(encoding="utf-8") as stream:
            held = list(csv.DictReader(stream))
        given = [tokenizer(row["text"], truncation=True, max_length=64) for row in held]
        found = trainer.predict(given).predictions.argmax(-1)  # type: ignore[arg-type, union-attr]
    truth = np.array([head.labels.index(row["category"]) for row in held])
    return float((found == truth).mean()), seconds


def _path(place: str) -> Any:
    from pathlib import Path

    return Path(place)
