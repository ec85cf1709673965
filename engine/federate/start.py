"""Start: the heads begin as the logistic regressions that pooled rows would give, fitted on gradients summed over the
clients.

Heads that begin at random, or that each client fits on its own labels, drift apart while the encoder learns from them
(Legate et al. 2023, "Guiding the last layer in federated learning with pre-trained models", arXiv 2306.03937). Each
client reads its rows once with the untouched encoder; then some hundred short messages go round, each a head's
parameters one way and the gradient of the clients' loss the other. The result is what `tuning.probe` finds on all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.evaluate.calibration import probabilities
from engine.federate.messages import Config, Metrics, Parameters
from engine.tasks.encoder import EncoderModel
from engine.tasks.encoding import MISSING, Rows
from engine.tasks.heads import HeadSpec
from engine.tuning.probe import STRENGTH, embedded

ITERATIONS = 200
Array = NDArray[np.float64]


class Probe:
    """A client's side: its rows' vectors and labels, which stay here."""

    def __init__(self, model: EncoderModel, rows: Rows) -> None:
        self._vectors = embedded(model, rows)
        self._targets: Mapping[str, Any] = rows.targets
        self._heads = {head.name: head for head in model.specs}

    def fit(self, parameters: Parameters, config: Config) -> tuple[Parameters, int, Metrics]:
        """The gradient of a head's loss, summed over the rows that answer it, and that loss; or the sums of the vectors
        and of their squares.

        Args:
            parameters: centre, spread, weights, bias; none for the sums.
            config: head, its name; empty for the sums.
        """
        if "head" not in config:
            return [self._vectors.sum(0), (self._vectors**2).sum(0)], len(self._vectors), {}
        centre, spread, weights, bias = parameters
        head = self._heads[str(config["head"])]
        labels = self._targets[head.name]
        present = labels.reshape(len(labels), -1)[:, 0] != MISSING
        scaled = (self._vectors[present] - centre) / spread
        truth = _truth(head, labels[present])
        logits = scaled @ weights.T + bias
        error = probabilities(logits, 1.0, multi_label=head.multi_label) - truth
        if head.multi_label:
            loss = float((np.logaddexp(0.0, logits) - logits * truth).sum())
        else:
            highest = logits.max(-1, initial=-np.inf, keepdims=True)
            loss = float((highest + np.log(np.exp(logits - highest).sum(-1, keepdims=True)) - logits)[truth > 0].sum())
        return [error.T @ scaled, error.sum(0)], int(present.sum()), {"loss": loss}


def fit_heads(model: EncoderModel, probes: Sequence[Probe]) -> None:
    """The server's side: set every head of `model` to the regression with the least loss summed over the clients."""
    from scipy.optimize import minimize

    (sums, squares), rows, _ = _summed(probes, [], {})
    centre = sums / rows
    spread = float(np.sqrt(np.maximum(squares / rows - centre**2, 0.0)).mean())
    for head in model.specs:
        shape = (head.width, model.width)

        def at(flat: Array, head: HeadSpec = head, shape: tuple[int, int] = shape) -> tuple[float, Array]:
            weights, bias = flat[: shape[0] * shape[1]].reshape(shape), flat[shape[0] * shape[1] :]
            asked = [centre, np.array(spread), weights, bias]
            (slope, level), count, loss = _summed(probes, asked, {"head": head.name})
            penalty = weights / STRENGTH
            value = (loss + 0.5 * float((weights * penalty).sum())) / count
            return value, np.concatenate([(slope + penalty).ravel(), level]) / count

        begin = np.zeros(shape[0] * shape[1] + shape[0])
        found = minimize(at, begin, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "gtol": 1e-4}).x
        weights = found[: shape[0] * shape[1]].reshape(shape) / spread
        layer = model.heads.get_submodule(head.name)
        with torch.no_grad():
            layer.get_parameter("weight").copy_(torch.from_numpy(weights))
            layer.get_parameter("bias").copy_(torch.from_numpy(found[shape[0] * shape[1] :] - weights @ centre))


def _summed(probes: Sequence[Probe], parameters: Parameters, config: Config) -> tuple[Parameters, int, float]:
    """The clients' arrays, rows and losses, summed."""
    answers = [probe.fit(parameters, config) for probe in probes]
    arrays = [np.sum(each, axis=0) for each in zip(*(answer[0] for answer in answers), strict=True)]
    return arrays, sum(answer[1] for answer in answers), sum(float(answer[2].get("loss", 0.0)) for answer in answers)


def _truth(head: HeadSpec, labels: NDArray[Any]) -> Array:
    """0 or 1, shape (rows, labels)."""
    if head.multi_label:
        return labels.astype(np.float64)
    found = np.zeros((len(labels), head.width))
    found[np.arange(len(labels)), labels.astype(np.intp)] = 1.0
    return found
