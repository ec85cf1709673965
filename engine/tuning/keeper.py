"""Keeper: averages the weights, scores the average each epoch, keeps the best, stops in time, and survives a kill.

Single steps on few rows swing by points of F1; their exponential average does not, and generalises better
(Izmailov et al. 2018, arXiv 1803.05407; Busbridge et al. 2023, arXiv 2307.13813).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
import transformers
from torch import Tensor

from engine.recipe import Tuning
from engine.tuning import weights

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all and a short note."""
Scored = Callable[[int, float], None]
"""Called with an epoch, from 1, and its dev score; what it raises ends the training."""
Epoch = dict[str, float | None]
"""epoch; mean loss since the log before, None until there is one; dev score, None where none is taken."""
FILE = "keeper.pt"
"""Written last into a checkpoint: one without it was cut off."""


class Stateful(Protocol):
    """A callback that remembers something of the steps before."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, kept: dict[str, Any]) -> None: ...


class Keeper(transformers.TrainerCallback):
    """Callback of one training run. `best` are the weights to end with, by name."""

    def __init__(
        self,
        model: Any,
        tuning: Tuning,
        score: Callable[[], float] | None,
        progress: Progress,
        scored: Scored,
        companions: Sequence[Stateful] = (),
    ) -> None:
        self.history: list[Epoch] = []
        self.done = False
        self._model = model
        self._learnt = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self.best = self._copy()
        self._average: list[Tensor] | None = None
        self._tuning = tuning
        self._best_score = -math.inf
        self._since_best = 0
        self._patience = tuning.early_stopping if score else 0
        self._score = score
        self._progress = progress
        self._scored = scored
        self._companions = companions
        self._note = ""
        self._loss: float | None = None

    def restore(self, checkpoint: Path) -> None:
        """Go on from what `on_save` wrote."""
        kept = torch.load(checkpoint / FILE, weights_only=True, map_location="cpu")
        self.best, self.history, self._loss = kept["best"], kept["history"], kept["loss"]
        self._best_score, self._since_best, self.done = kept["best_score"], kept["since_best"], kept["done"]
        here = zip(kept["average"], self._learnt.values(), strict=True)
        self._average = [average.to(value.device) for average, value in here]
        for companion, state in zip(self._companions, kept["companions"], strict=True):
            companion.load_state_dict(state)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._tuning.gradual_unfreezing:
            weights.thaw(self._model, math.floor(state.epoch or 0))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        current = [value.detach() for value in self._learnt.values()]
        if self._average is None or not self._tuning.average:
            self._average = [value.clone() for value in current]
        else:
            torch._foreach_lerp_(self._average, current, 1 - self._tuning.average)
        self._progress(state.global_step, state.max_steps, self._note)
        # The end of an epoch is saved once its score is taken, not before.
        ends = state.global_step % max(1, round(state.max_steps / args.num_train_epochs)) == 0
        control.should_save = state.global_step % self._tuning.checkpoint_steps == 0 and not ends

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self._loss = (logs or {}).get("loss", self._loss)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trained = self._copy()
        self._put(dict(zip(self._learnt, self._average or [], strict=True)))
        value = self._score() if self._score else None
        self.history.append({"epoch": round(state.epoch or 0), "loss": self._loss, "score": value})
        self._note = f"epoch {round(state.epoch or 0)}" + (f": dev score {value:.3f}" if value is not None else "")
        self._since_best += 1
        if not self._patience or value is None or value > self._best_score:
            self.best, self._since_best = self._copy(), 0
            self._best_score = -math.inf if value is None else value
        stops = bool(self._patience) and self._since_best >= self._patience
        self._put(trained)
        self.done = stops or state.global_step >= state.max_steps
        control.should_training_stop = self.done
        control.should_save = True
        if value is not None:
            self._scored(round(state.epoch or 0), value)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        kept = {
            "best": self.best, "average": self._average, "history": self.history, "best_score": self._best_score,
            "since_best": self._since_best, "done": self.done, "loss": self._loss,
            "companions": [companion.state_dict() for companion in self._companions],
        }  # fmt: skip
        temporary = folder / f".{FILE}"
        torch.save(kept, temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(folder / FILE)

    def finish(self) -> None:
        """Leave the model with its best weights."""
        self._put(self.best)

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self._learnt.items()}

    def _put(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in values.items():
                self._learnt[name].copy_(value)


def last_whole(folder: Path) -> Path | None:
    """The newest checkpoint in a run's folder that was written to its end."""
    found = [path for path in folder.glob("checkpoint-*") if (path / FILE).exists()]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
