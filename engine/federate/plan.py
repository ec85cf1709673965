"""Plan: how the branches train together. What is said of it here is what the command's options say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.errors import InputError
from engine.recipe import Classify, Recipe

Strategy = Literal["fedavg", "fedprox"]


@dataclass(frozen=True)
class Plan:
    """Rounds in which every client trains from the same parameters, and the mean of what they send is the next."""

    rounds: int = 6
    local_epochs: int = 1
    """Epochs over its own rows that a client trains in a round."""
    strategy: Strategy = "fedavg"
    mu: float = 0.0
    """FedProx: weight of half the squared distance from the round's parameters in each client's loss."""
    clip: float | None = None
    """Longest update, in Euclidean norm over all parameters, that a client sends."""
    noise: float = 0.0
    """Standard deviation of the Gaussian noise that a client adds to each number of its update, in units of `clip`."""

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            InputError: naming the option.
        """
        if self.strategy == "fedprox" and self.mu <= 0:
            raise InputError("--strategy fedprox needs --mu above 0, for example --mu 0.01")
        if self.strategy == "fedavg" and self.mu:
            raise InputError("--mu is FedProx's; add --strategy fedprox, or leave it out")
        if self.clip is not None and self.clip <= 0:
            raise InputError(f"--clip {self.clip:g}: the longest update must be above 0")
        if self.noise and self.clip is None:
            raise InputError("--noise is in units of --clip; give both")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe that clients cannot train a round at a time.

    Raises:
        InputError: naming the setting and what to set instead.
    """
    tuning, task = recipe.tuning, recipe.task
    if not isinstance(task, Classify) or any(head.regression or head.entities for head in task.heads.values()):
        raise InputError("task: engine federate trains classify with label heads; the recipe asks for something else")
    if tuning.method != "lora":
        raise InputError(
            f"tuning.method {tuning.method}: only LoRA's matrices and the heads travel; --set tuning.method=lora"
        )
    unlike = {
        "tuning.adversarial": tuning.adversarial, "tuning.r_drop": tuning.r_drop, "tuning.distill": tuning.distill,
        "tuning.extend": tuning.extend, "tuning.adapt": tuning.adapt, "data.noise": recipe.data.noise,
        "data.per_label": recipe.data.per_label, "task.vectors": task.vectors,
    }  # fmt: skip
    for name, asked in unlike.items():
        if asked:
            raise InputError(f"{name} is not for engine federate; leave it out")
    if any(head.class_weights != "none" for head in task.heads.values()):
        raise InputError("class_weights need the label counts of all rows, which do not travel; leave them out")
    if len(recipe.seeds) > 1:
        raise InputError(f"seeds: engine federate trains one; --set seeds=[{recipe.seeds[0]}]")
