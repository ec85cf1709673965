"""Trainer: transformers' own, with batches by token budget, an objective of ours, and losses whole over a step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.utils.data import DataLoader

from engine.data.batches import Share
from engine.recipe import Tuning
from engine.tasks.encoding import Rows
from engine.tuning import adapters, precision, weights
from engine.tuning.keeper import Epoch, Keeper, Progress, Scored, last_whole
from engine.tuning.objective import Objective, plain

LEARNT = "learnt.safetensors"
"""Weights of a checkpoint."""


def fit(
    model: Any,
    train: Rows,
    tuning: Tuning,
    *,
    seed: int,
    folder: Path,
    objective: Objective = plain,
    score: Callable[[], float] | None = None,
    trackers: tuple[str, ...] = (),
    progress: Progress | None = None,
    scored: Scored | None = None,
) -> list[Epoch]:
    """Train the parameters of `model` that require a gradient, in place, over transformers' Trainer.

    It ends with averaged weights: those of its best dev score, or of the last step. A run that was cut off goes on from
    its last checkpoint in `folder` and ends with the weights it would have had.

    Args:
        score: figure of `model` as it stands on the dev rows, to raise; None trains all epochs.
        folder: checkpoints and the trackers' logs are written here.

    Returns:
        One entry an epoch: epoch, loss, score.
    """
    from engine.tuning.tracking import tracked

    before = last_whole(folder)
    quiet = progress or (lambda done, total, note: None)
    companions = adapters.callbacks(model, tuning)
    keeper = Keeper(model, tuning, score, quiet, scored or (lambda epoch, score: None), companions)
    if before:
        keeper.restore(before)
    if not keeper.done:
        with tracked(folder, trackers) as report_to:
            trainer = _Trainer(
                model=model,
                args=_arguments(tuning, seed, folder, report_to),
                data_collator=train.collator(),
                train_dataset=train,
                callbacks=[*companions, keeper],
                optimizers=(torch.optim.AdamW(list(weights.groups(model, tuning)), fused=True), None),
            )
            trainer.setup(adapters.penalised(objective, tuning), tuning)
            trainer.train(resume_from_checkpoint=str(before) if before else None)
    keeper.finish()
    return keeper.history


def _arguments(tuning: Tuning, seed: int, folder: Path, report_to: list[str]) -> transformers.TrainingArguments:
    return transformers.TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=tuning.epochs,
        learning_rate=tuning.learning_rate,
        warmup_steps=tuning.warmup,
        weight_decay=tuning.weight_decay,
        gradient_accumulation_steps=tuning.accumulate,
        lr_scheduler_type="linear",
        seed=seed,
        eval_strategy="no",
        save_strategy="no",  # the keeper says when
        save_total_limit=2,  # the one before stays until the next is whole
        logging_strategy="steps",
        logging_steps=10,
        report_to=report_to,
        remove_unused_columns=False,
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
    )


class _Trainer(transformers.Trainer):
    loss_is_scaled_for_ga = True

    def setup(self, objective: Objective, tuning: Tuning) -> None:
        self._objective = objective
        self._tuning = tuning
        self._bf16 = precision.uses_bf16(tuning.precision)
        model: Any = self.model
        self._learnt = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self.remove_callback(transformers.PrinterCallback)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Only what learns: the rest comes from the base again, and prompts share tensors with it."""
        from safetensors.torch import save_file

        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.detach().contiguous() for name, value in self._learnt.items()}, folder / LEARNT)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        from safetensors.torch import load_file

        with torch.no_grad():
            for name, value in load_file(Path(resume_from_checkpoint) / LEARNT).items():
                self._learnt[name].copy_(value)

    def get_train_dataloader(self) -> DataLoader[Any]:
        rows: Any = self.train_dataset
        share = Share(self.args.process_index, self.args.world_size)
        sampler = rows.sampler(self._tuning.batch_tokens, seed=self.args.seed, share=share)
        # Not prepared by accelerate: it would deal the batches out a second time.
        return DataLoader(rows, batch_sampler=sampler, collate_fn=self.data_collator)

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: Any) -> tuple[list[Any], None]:
        """The batches of one step; each learns how many labelled rows the whole step has, over all processes."""
        samples = list(islice(epoch_iterator, num_batches))
        model: Any = self.accelerator.unwrap_model(self.model)
        counts = [len(batch["input_ids"]) for batch in samples]
        found = [model.items(batch) for batch in samples]
        for name in found[0] if found else ():
            total = self._over_processes(torch.stack([items[name] for items in found]).sum())
            for batch in samples:
                batch[f"items_{name}"] = total
        rows = self._over_processes(torch.tensor(float(sum(counts))))
        for batch, count in zip(samples, counts, strict=True):
            batch["share"] = count / rows
        return samples, None

    def _over_processes(self, value: Tensor) -> Tensor:
        """The mean over the processes of a sum over the step: a loss divided by it may be averaged over them."""
        value = value.to(self.args.device)
        if self.args.world_size > 1:
            torch.distributed.all_reduce(value)
            value = value / self.args.world_size
        return value

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        with self._autocast():
            return self._objective(model, inputs)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        """bf16 for the loss alone: Trainer's own switch would leave the model's `forward` changed for good."""
        if not self._bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.args.device.type, torch.bfloat16)
