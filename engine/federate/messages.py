"""Messages: what goes between server and clients, under Flower's names (`flwr.common`): arrays and numbers, no text.

Parameters are the arrays of what learns (LoRA's matrices and the heads), in the order of the model's own parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Parameters = list[NDArray[Any]]
Scalar = bool | int | float | str
Config = Mapping[str, Scalar]
Metrics = dict[str, Scalar]


@dataclass(frozen=True)
class FitIns:
    """What a client is asked to train from, and how."""

    parameters: Parameters
    config: Config


@dataclass(frozen=True)
class FitRes:
    parameters: Parameters
    num_examples: int
    metrics: Metrics = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluateIns:
    parameters: Parameters
    config: Config


@dataclass(frozen=True)
class EvaluateRes:
    loss: float
    num_examples: int
    metrics: Metrics = field(default_factory=dict)


class NumPyClient(Protocol):
    """What a client answers to; the methods of `flwr.client.NumPyClient`."""

    def fit(self, parameters: Parameters, config: Config) -> tuple[Parameters, int, Metrics]: ...
    def evaluate(self, parameters: Parameters, config: Config) -> tuple[float, int, Metrics]: ...


def taken(model: torch.nn.Module) -> Parameters:
    """A copy of what learns in the model."""
    return [value.detach().cpu().numpy().copy() for value in _learning(model)]


def put(model: torch.nn.Module, parameters: Parameters) -> None:
    """Set what learns in the model."""
    with torch.no_grad():
        for value, array in zip(_learning(model), parameters, strict=True):
            value.copy_(torch.from_numpy(array))


def weighted_mean(answers: Sequence[tuple[Parameters, int]]) -> Parameters:
    """The mean of the clients' arrays, each weighted by its number of rows; summed in float64."""
    total = sum(rows for _, rows in answers)
    means = []
    for arrays in zip(*(parameters for parameters, _ in answers), strict=True):
        summed = sum(array.astype(np.float64) * rows for array, (_, rows) in zip(arrays, answers, strict=True))
        means.append(np.asarray(summed / total, dtype=arrays[0].dtype))
    return means


def _learning(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [value for value in model.parameters() if value.requires_grad]
