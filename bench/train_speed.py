"""Seconds of a Banking77 training against plain Trainer, one after the other on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.banking77 import RECIPE
from bench.contract import Figures, public_data
from engine import Progress, Recipe, Store, train
from engine.base_models import resolve
from engine.data import sources

BATCH = 32


def run(*, seeds: int) -> Figures:
    """Both train the same model on the same rows for the same epochs, at the same rates and seed; each is timed around
    its training alone. Keel runs as it comes (batches by token budget, averaged weights, bf16 where the chip has it),
    Trainer as it comes too."""
    test = public_data("banking77") / "test.csv"
    ratios, differences = [], []
    with Progress() as progress:
        for seed in range(13, 13 + seeds):
            recipe = Recipe.load(RECIPE, [f"seeds=[{seed}]", "export.format=none", "track=[]"])
            progress.stage("Keel")
            with TemporaryDirectory() as place:
                timed = _Timed(progress)
                done = train(recipe, store=Store(Path(place)), watcher=timed, fresh=True)
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


def _plain(recipe: Recipe, seed: int, test: Path) -> tuple[float, float]:
    """Test accuracy and seconds of the stock road to the same model: the same train rows, start, rates and loss;
    random batches of 32, each padded to its longest row, in float32, and the weights of the last step."""
    import torch
    import transformers

    from engine.tasks import encoder, headed
    from engine.tasks.encoding import encoded
    from engine.training import prepare
    from engine.tuning import probe, weights

    base, tuning = resolve(recipe.base), recipe.tuning
    spec, tokenizer = headed.model_spec(recipe, base), headed.tokenizer_of(base.folder)
    with TemporaryDirectory() as place:
        parts, _, _ = prepare(recipe, Path(place))
        transformers.set_seed(seed)
        start = time.perf_counter()
        rows = encoded(parts.train, tokenizer, spec)
        model = encoder.build(recipe, base, rows)
        probe.fit_heads(model, rows)
        arguments = transformers.TrainingArguments(
            output_dir=place, num_train_epochs=tuning.epochs, learning_rate=tuning.learning_rate,
            warmup_steps=tuning.warmup, per_device_train_batch_size=BATCH, seed=seed, save_strategy="no", report_to=[],
            disable_tqdm=True, logging_strategy="no", use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=False, remove_unused_columns=False,
        )  # fmt: skip
        trainer = transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
            optimizers=(torch.optim.AdamW(list(weights.groups(model, tuning)), fused=True), None),
        )
        trainer.remove_callback(transformers.PrinterCallback)  # stdout is the result's
        trainer.train()
        seconds = time.perf_counter() - start
    held = sources.load([str(test)], recipe.data, spec.heads).rows
    (head,) = spec.heads
    said = encoder.outputs(model, encoded(held, tokenizer, spec))[head.name]
    right = [
        head.labels[int(one.logits.argmax())] == row.labels[head.name] for one, row in zip(said, held, strict=True)
    ]
    return float(np.mean(right)), seconds
