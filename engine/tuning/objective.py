"""Objective: what a training step makes smaller. The plain one is the model's own loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from engine.tasks.heads import HELD

Inputs = dict[str, Tensor]
Objective = Callable[[Any, Inputs], Tensor]
"""(model, a batch with its targets) -> loss, whose gradient is the step's."""


def share(inputs: Inputs) -> Tensor | float:
    """This batch's part of the rows of its step: what a mean over the batch is worth in a mean over the step."""
    return inputs.get("share", 1.0)


def untaught(inputs: Inputs) -> Inputs:
    """The batch without a teacher's answers; the vectors that the model's own loss holds it to stay."""
    return {name: value for name, value in inputs.items() if not name.startswith("taught_") or name == HELD}


def plain(model: Any, inputs: Inputs) -> Tensor:
    """The model's loss on the batch."""
    loss: Tensor = model(**inputs)["loss"]
    return loss
