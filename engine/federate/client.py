"""Client: one branch. It holds its rows and trains on them; what it sends is arrays and numbers.

It has the methods of `flwr.client.NumPyClient`, so Flower can take the place of `rounds` where branches are machines of
their own (its pins do not live beside Keel's, so Keel does not depend on it):

    class Branch(Client, flwr.client.NumPyClient): ...       # in a ClientApp: Branch(...).to_client()
    flwr.server.strategy.FedProx(                            # or FedAvg, in a ServerApp
        initial_parameters=ndarrays_to_parameters(messages.taken(model)), proximal_mu=0.01,
        on_fit_config_fn=lambda number: {"server_round": number, "local_epochs": 1, "rate": 1 - (number - 1) / rounds})

The beginning (`start`) and the temperatures (`temperature`) are further messages of the same two methods.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from engine.data.rows import Row
from engine.evaluate import calibration
from engine.federate.branch import Branch
from engine.federate.messages import Config, Metrics, Parameters, put, taken
from engine.federate.privacy import Guard
from engine.federate.temperature import GRID
from engine.recipe import Recipe
from engine.tasks import encoder, kinds
from engine.tasks.encoding import encoded
from engine.tasks.heads import ModelSpec
from engine.tuning.keeper import Progress
from engine.tuning.objective import Inputs, Objective, plain, share
from engine.tuning.trainer import fit


class Client:
    """One branch and its rows.

    Args:
        model: the model to train; clients of one process may share it, since each sets all that learns.
        folder: of its checkpoints, which stay with the branch.
        guard: what it does to an update before sending it.
    """

    def __init__(
        self,
        branch: Branch,
        recipe: Recipe,
        model: encoder.EncoderModel,
        spec: ModelSpec,
        tokenizer: Any,
        folder: Path,
        guard: Guard | None = None,
    ) -> None:
        self.name = branch.name
        self.progress: Progress | None = None
        self._branch, self._recipe, self._model, self._spec = branch, recipe, model, spec
        self._folder, self._guard = folder, guard
        self._encoded: Callable[[list[Row]], Any] = lambda rows: encoded(rows, tokenizer, spec)
        self.train = self._encoded(branch.train)

    def fit(self, parameters: Parameters, config: Config) -> tuple[Parameters, int, Metrics]:
        """Parameters trained on this branch's rows for some epochs, how many rows, and the mean loss.

        Args:
            config: server_round, from 1; local_epochs; rate, the factor on the recipe's learning rates; proximal_mu.
        """
        put(self._model, parameters)
        number, mu = int(config["server_round"]), float(config.get("proximal_mu", 0.0))
        recipe, rate = self._recipe.tuning, float(config["rate"])
        tuning = recipe.model_copy(
            update={
                "epochs": int(config["local_epochs"]), "learning_rate": recipe.learning_rate * rate,
                "head_learning_rate": recipe.head_learning_rate * rate, "early_stopping": 0,
                "average": 0.0,  # the server averages: one over a round's few steps would mostly hold its beginning
            }
        )  # fmt: skip
        history = fit(
            self._model,
            self.train,
            tuning,
            seed=self._recipe.seeds[0] + number - 1,
            folder=self._folder / f"round-{number}",
            objective=proximal(mu, self._model) if mu else plain,
            progress=self.progress,
        )
        trained = taken(self._model)
        if self._guard:
            trained = self._guard.guarded(parameters, trained, number)
        loss = history[-1]["loss"]
        return trained, len(self.train), {} if loss is None else {"loss": loss}

    def evaluate(self, parameters: Parameters, config: Config) -> tuple[float, int, Metrics]:
        """Mean loss, number of rows, and a head's share of right answers on the dev rows; or, where `config` asks for
        "part": "calibration", a head's loss on the calibration rows summed at each temperature of `GRID`."""
        put(self._model, parameters)
        calibrates = config.get("part") == "calibration"
        rows = self._branch.calibration if calibrates else self._branch.dev
        if not rows:
            return 0.0, 0, {}
        outputs = encoder.outputs(self._model, self._encoded(rows))
        metrics: Metrics = {}
        losses = []
        for head in self._spec.heads:
            numbers = kinds.answered(head, rows)
            if not len(numbers):
                continue
            chosen = [rows[number] for number in numbers]
            logits = kinds.arrays([outputs[head.name][number] for number in numbers])
            truth = kinds.of(head.kind).truth(head, chosen)  # type: ignore[attr-defined]  # of label heads
            loss = calibration.loss(logits, truth, 1.0, multi_label=head.multi_label)
            losses.append(loss)
            metrics[f"{head.name} rows"] = len(numbers)
            if calibrates:
                for place, temperature in enumerate(GRID):
                    at = calibration.loss(logits, truth, temperature, multi_label=head.multi_label)
                    metrics[f"{head.name} {place}"] = at * len(numbers)
            else:
                said = logits >= 0 if head.multi_label else logits.argmax(-1)
                metrics[f"{head.name} right"] = float(np.mean(said == truth)) * len(numbers)
        return float(np.sum(losses)), len(rows), metrics

    def forget(self, server_round: int) -> None:
        """Drop the checkpoints of a round that is over."""
        shutil.rmtree(self._folder / f"round-{server_round}", ignore_errors=True)


def proximal(mu: float, model: Any) -> Objective:
    """The loss with FedProx's term (Li et al. 2020, arXiv 1812.06127, equation 2): mu / 2 times the squared distance
    from the parameters as they stand now."""
    start = [(value, value.detach().clone()) for value in model.parameters() if value.requires_grad]

    def loss(model: Any, inputs: Inputs) -> Tensor:
        apart = sum(((value - before.to(value.device)) ** 2).sum() for value, before in start)
        total: Tensor = plain(model, inputs) + mu / 2 * share(inputs) * apart
        return total

    return loss
