"""Full fine-tuning: every weight of the encoder and the heads learns, over transformers' Trainer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from engine.data.batches import TokenBudgetSampler
from engine.errors import RecipeError
from engine.recipe import Tuning
from engine.tasks.classify import Classifier, Collator, Rows
from engine.tuning import probe

Logits = dict[str, NDArray[np.float64]]
Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all and a short note."""


def tune(
    model: Classifier,
    train: Rows,
    tuning: Tuning,
    *,
    score: Callable[[], float] | None,
    pad_token_id: int,
    seed: int,
    folder: Path,
    trackers: list[str],
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Train `model` in place. It ends with averaged weights: those of its best dev score, or of the last step.

    Args:
        score: figure of `model` as it stands on the dev rows, to raise; None trains all epochs.
        folder: trackers' logs are written here.

    Returns:
        One entry an epoch: epoch, loss, score.
    """
    _freeze(model, tuning)
    if tuning.head_start == "probe":
        probe.fit_heads(model, train, pad_token_id=pad_token_id)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=tuning.epochs,
        learning_rate=tuning.learning_rate,
        warmup_steps=tuning.warmup,
        weight_decay=tuning.weight_decay,
        lr_scheduler_type="linear",
        seed=seed,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="steps",
        logging_steps=10,
        report_to=trackers,
        label_names=[f"labels_{head.name}" for head in model.specs],
        remove_unused_columns=False,
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
    )
    keeper = _Keeper(model, tuning, score, progress or (lambda done, total, note: None))
    trainer = _BudgetTrainer(
        model=model,
        args=arguments,
        data_collator=Collator(pad_token_id),
        train_dataset=train,
        callbacks=[keeper],
        optimizers=(torch.optim.AdamW(list(_groups(model, tuning)), fused=True), None),
    )
    trainer.batch_tokens = tuning.batch_tokens
    trainer.remove_callback(transformers.PrinterCallback)
    with _trackers_in(folder):
        trainer.train()
    model.load_state_dict(keeper.best)
    return keeper.history


class _BudgetTrainer(transformers.Trainer):
    """Trainer whose batches hold a bounded number of tokens instead of a number of rows."""

    batch_tokens = 2048

    def get_train_dataloader(self) -> DataLoader[Any]:
        rows: Any = self.train_dataset
        sampler = TokenBudgetSampler([len(ids) for ids in rows.input_ids], self.batch_tokens, seed=self.args.seed)
        loader: DataLoader[Any] = DataLoader(rows, batch_sampler=sampler, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)  # type: ignore[no-any-return]


class _Keeper(transformers.TrainerCallback):
    """Averages the weights over the steps, scores the average each epoch, keeps the best and stops when none comes.

    Single steps on few rows swing by points of F1; their exponential average does not, and generalises better
    (Izmailov et al. 2018, arXiv 1803.05407; Busbridge et al. 2023, arXiv 2307.13813).
    """

    def __init__(
        self, model: Classifier, tuning: Tuning, score: Callable[[], float] | None, progress: Progress
    ) -> None:
        self.history: list[dict[str, float]] = []
        self.best = _copy(model)
        self._best_score = -math.inf
        self._since_best = 0
        average = get_ema_multi_avg_fn(tuning.average)  # type: ignore[no-untyped-call]
        self._average = AveragedModel(model, multi_avg_fn=average, use_buffers=False)
        self._model = model
        self._patience = tuning.early_stopping if score else 0
        self._score = score
        self._progress = progress
        self._note = ""
        self._loss = math.nan

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._average.update_parameters(self._model)
        self._progress(state.global_step, state.max_steps, self._note)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self._loss = (logs or {}).get("loss", self._loss)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trained = _copy(self._model)
        self._model.load_state_dict(self._average.module.state_dict())
        self._keep(round(state.epoch or 0), control)
        self._model.load_state_dict(trained)

    def _keep(self, epoch: int, control: Any) -> None:
        value = self._score() if self._score else math.nan
        self.history.append({"epoch": epoch, "loss": self._loss, "score": value})
        self._note = f"epoch {epoch}: dev score {value:.3f}" if self._score else f"epoch {epoch}"
        self._since_best += 1
        if not self._patience or value > self._best_score:
            self.best, self._best_score, self._since_best = _copy(self._model), value, 0
        elif self._since_best >= self._patience:
            control.should_training_stop = True


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


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


def _freeze(model: Classifier, tuning: Tuning) -> None:
    if tuning.freeze_layers is None:
        return
    encoder: Any = model.encoder
    layers = int(encoder.config.num_hidden_layers)
    if tuning.freeze_layers > layers:
        raise RecipeError(f"tuning.freeze_layers: {tuning.freeze_layers}, but the base has {layers} layers")
    for name, parameter in model.named_parameters():
        depth = _depth(name, layers)
        if depth is not None and depth >= layers - tuning.freeze_layers:
            parameter.requires_grad_(False)


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
