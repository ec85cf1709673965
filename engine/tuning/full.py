"""Full fine-tuning: every weight of the encoder and the heads learns, over transformers' Trainer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from engine.data.batches import TokenBudgetSampler
from engine.recipe import Tuning
from engine.tasks.classify import Classifier, Collator, Rows
from engine.tuning import probe

Logits = dict[str, NDArray[np.float64]]
Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all and a short note."""


def tune(
    model: Classifier,
    train: Rows,
    dev: Rows,
    tuning: Tuning,
    *,
    score: Callable[[Logits], float],
    pad_token_id: int,
    seed: int,
    folder: Path,
    trackers: list[str],
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Train `model` in place; with early stopping it ends with the weights of its best dev score.

    Args:
        score: dev logits a head -> figure to raise.
        folder: checkpoints and trackers' logs are written here.

    Returns:
        One entry an epoch: epoch, loss, score.
    """
    if tuning.freeze_embeddings:
        model.encoder.get_submodule("embeddings").requires_grad_(False)
    if tuning.head_start == "probe":
        probe.fit_heads(model, train, pad_token_id=pad_token_id)
    stops = tuning.early_stopping > 0 and len(dev) > 0
    history: list[dict[str, float]] = []
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        num_train_epochs=tuning.epochs,
        learning_rate=tuning.learning_rate,
        warmup_steps=tuning.warmup,
        weight_decay=tuning.weight_decay,
        lr_scheduler_type="linear",
        seed=seed,
        eval_strategy="epoch" if stops else "no",
        save_strategy="epoch" if stops else "no",
        save_total_limit=1,
        save_only_model=True,
        load_best_model_at_end=stops,
        metric_for_best_model="score" if stops else None,
        greater_is_better=True if stops else None,
        logging_strategy="steps",
        logging_steps=10,
        report_to=trackers,
        label_names=[f"labels_{head.name}" for head in model.specs],
        remove_unused_columns=False,
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        fp16=False,
        bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
    )
    callbacks: list[transformers.TrainerCallback] = [_Watch(history, progress)]
    if stops:
        callbacks.append(transformers.EarlyStoppingCallback(tuning.early_stopping))

    def measure(prediction: transformers.EvalPrediction) -> dict[str, float]:
        outputs = prediction.predictions
        arrays = outputs if isinstance(outputs, tuple) else (outputs,)
        return {"score": score({head.name: np.asarray(a, float) for head, a in zip(model.specs, arrays, strict=True)})}

    trainer = _BudgetTrainer(
        model=model,
        args=arguments,
        data_collator=Collator(pad_token_id),
        train_dataset=train,
        eval_dataset=dev if stops else None,
        compute_metrics=measure,
        callbacks=callbacks,
        optimizers=(torch.optim.AdamW(list(_groups(model, tuning)), fused=True), None),
    )
    trainer.batch_tokens = tuning.batch_tokens
    trainer.remove_callback(transformers.PrinterCallback)
    with _trackers_in(folder):
        trainer.train()
    (folder / "history.json").write_text(json.dumps(trainer.state.log_history, indent=2), encoding="utf-8")
    return history


class _BudgetTrainer(transformers.Trainer):
    """Trainer whose batches hold a bounded number of tokens instead of a number of rows."""

    batch_tokens = 2048

    def get_train_dataloader(self) -> DataLoader[Any]:
        return self._loader(self.train_dataset, seed=self.args.seed)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        rows: Any = eval_dataset if eval_dataset is not None else self.eval_dataset
        # In the order of the rows: Trainer hands logits on in the order it met them.
        return DataLoader(rows, batch_size=32, collate_fn=self.data_collator)

    def _loader(self, rows: Any, *, seed: int) -> DataLoader[Any]:
        sampler = TokenBudgetSampler([len(ids) for ids in rows.input_ids], self.batch_tokens, seed=seed)
        loader: DataLoader[Any] = DataLoader(rows, batch_sampler=sampler, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)  # type: ignore[no-any-return]


class _Watch(transformers.TrainerCallback):
    """Tells the progress and keeps a line an epoch."""

    def __init__(self, history: list[dict[str, float]], progress: Progress | None) -> None:
        self.history = history
        self.progress = progress or (lambda done, total, note: None)
        self.note = ""
        self.loss = math.nan

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.progress(state.global_step, state.max_steps, self.note)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self.loss = (logs or {}).get("loss", self.loss)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        score = float(metrics["eval_score"])
        self.history.append({"epoch": round(state.epoch or 0), "loss": self.loss, "score": score})
        self.note = f"epoch {round(state.epoch or 0)}: dev score {score:.3f}"
        self.progress(state.global_step, state.max_steps, self.note)


class _trackers_in:
    """TensorBoard's callback takes its folder from the environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tensorboard"

    def __enter__(self) -> None:
        import os

        self.before = os.environ.get("TENSORBOARD_LOGGING_DIR")
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(self.folder)

    def __exit__(self, *_: object) -> None:
        import os

        if self.before is None:
            os.environ.pop("TENSORBOARD_LOGGING_DIR", None)
        else:
            os.environ["TENSORBOARD_LOGGING_DIR"] = self.before


def _groups(model: Classifier, tuning: Tuning) -> Iterator[dict[str, Any]]:
    """Parameter groups: heads at their own rate, encoder layers at a rate that falls from the top down."""
    encoder: Any = model.encoder
    layers = int(encoder.config.num_hidden_layers)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        depth = _depth(name, layers)
        rate = tuning.head_learning_rate if depth is None else tuning.learning_rate * tuning.layer_decay**depth
        decay = tuning.weight_decay if parameter.ndim > 1 else 0.0
        yield {"params": [parameter], "lr": rate, "weight_decay": decay}


def _depth(name: str, layers: int) -> int | None:
    """Layers above the one a parameter belongs to; None for a head."""
    if name.startswith("heads."):
        return None
    numbers = [int(part) for part in name.split(".") if part.isdigit()]
    return layers - 1 - numbers[0] if numbers else layers


@torch.inference_mode()
def logits(model: nn.Module, rows: Rows, *, pad_token_id: int, batch_tokens: int = 4096) -> Logits:
    """Logits a head, in the order of the rows, each of shape (rows, labels)."""
    model.eval()
    device = next(model.parameters()).device
    collate = Collator(pad_token_id)
    found: dict[str, dict[int, Tensor]] = {}
    for batch in TokenBudgetSampler([len(ids) for ids in rows.input_ids], batch_tokens, seed=None):
        inputs = collate([{"input_ids": rows.input_ids[row]} for row in batch])
        outputs = model(**{name: value.to(device) for name, value in inputs.items()})
        for name, values in outputs.items():
            found.setdefault(name.removeprefix("logits_"), {}).update(zip(batch, values.cpu().float(), strict=True))
    return {
        name: torch.stack([of[row] for row in range(len(rows))]).numpy().astype(float) for name, of in found.items()
    }
