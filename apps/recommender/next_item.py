"""Next item: what the user encoder of texts and the sequence model share: how they learn, and how they are asked.

Every place of a history is an example: what came next, against items drawn evenly from the catalogue. With negatives
drawn evenly the softmax learns how likely an item is next, its popularity included; negatives taken from the batch
would need a correction by the logarithm of their frequency for that (Yi et al. 2019, RecSys).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from apps.recommender.past import Floats, Ints, Past

if TYPE_CHECKING:
    from torch import Tensor

BATCH, NEGATIVES = 256, 1024
STEPS = 50
"""Least of an epoch: of little data the batches are smaller."""
LONGEST = 20
"""Events of a history's end that are read."""
REFERENCE = 512
"""Items, drawn evenly, against which a logit is told."""
CHUNK = 65536


class NextItem(Protocol):
    """A module that reads histories and knows items."""

    def users(self, items: Tensor) -> Tensor:
        """Vectors after each event, shape (histories, length, width); items of -1 are padding behind."""

    def items(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors and biases of items, shapes (items, width) and (items,)."""


@dataclass(frozen=True)
class Reader:
    """A fitted module with the vectors of all items at hand.

    Attributes:
        vectors: of the items, shape (items, width); biases: shape (items,).
        reference: items that every logit is compared with.
    """

    module: Any
    vectors: Floats
    biases: Floats
    reference: Ints

    @classmethod
    def of(cls, module: Any, catalogue: int, reference: Ints | None = None) -> Reader:
        import torch

        module.eval()
        with torch.inference_mode():
            vectors, biases = module.items(torch.arange(catalogue))
        if reference is None:
            count = min(REFERENCE, catalogue)
            reference = np.random.default_rng(0).choice(catalogue, count, replace=False).astype(np.int32)
        return cls(module, vectors.numpy(), biases.numpy(), reference)

    @cached_property
    def _compared(self) -> tuple[Floats, Floats]:
        return self.vectors[self.reference].T.copy(), self.biases[self.reference]

    def scores(self, past: Past, owners: NDArray[Any], candidates: Ints, *, batch: int = 1) -> Floats:
        """Logarithm of how much likelier a candidate is next for history `owners[i]` than an item drawn evenly.

        Args:
            batch: histories that are read together. With one, a score never depends on its neighbours: products of
                matrices round otherwise in other sizes, and a tree may turn on the last digit.
        """
        users, usual = self.users(past, batch)
        found = np.empty(len(candidates), np.float32)
        for first in range(0, len(candidates), CHUNK):
            part = slice(first, first + CHUNK)
            at, item = owners[part], candidates[part]
            found[part] = np.einsum("ij,ij->i", users[at], self.vectors[item]) + self.biases[item] - usual[at]
        return found

    def users(self, past: Past, batch: int = 1) -> tuple[Floats, Floats]:
        """Vectors of the histories as they end, zeros of an empty one, and the log of the mean over the reference.

        Shapes (histories, width) and (histories,).
        """
        import torch

        table = past.padded(LONGEST)
        found, usual = np.zeros((len(table), self.vectors.shape[1]), np.float32), np.zeros(len(table), np.float32)
        reference, biases = self._compared
        with torch.inference_mode():
            for first in range(0, len(table), batch):
                part = slice(first, first + batch)
                rows = torch.from_numpy(table[part].astype(np.int64))
                lengths = (rows >= 0).sum(dim=1)
                vectors = self.module.users(rows[:, : max(int(lengths.max()), 1)])
                ends = vectors[torch.arange(len(rows)), (lengths - 1).clamp(min=0)]
                found[part] = (ends * (lengths > 0)[:, None]).numpy()
                against = found[part] @ reference + biases
                top = against.max(axis=1)
                usual[part] = top + np.log(np.exp(against - top[:, None]).mean(axis=1))
        return found, usual


def train(
    module: Any,
    past: Past,
    catalogue: int,
    *,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    step: Callable[[int, int, str], None],
) -> None:
    """Fit the module to what came next in the histories.

    Args:
        step: called with the number of each step done, of all, and now and then the loss.
    """
    import torch
    from torch.nn import functional as F

    random = np.random.default_rng(seed)
    table = past.pieces(LONGEST + 1)
    size = min(BATCH, max(1, len(table) // STEPS))
    steps = epochs * -(-len(table) // size)
    optimiser = torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=max(steps, 2), pct_start=0.1, cycle_momentum=False
    )
    module.train()
    done = 0
    for _ in range(epochs):
        order = random.permutation(len(table))
        for first in range(0, len(order), size):
            rows = table[order[first : first + size]]
            batch = torch.from_numpy(rows[:, : int((rows >= 0).sum(axis=1).max())].astype(np.int64))
            drawn = torch.from_numpy(random.integers(catalogue, size=min(NEGATIVES, catalogue)))
            loss = _loss(module, batch, drawn, F)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            done += 1
            step(done, steps, f"loss {float(loss.detach()):.3f}" if done % 200 == 0 else "")
    module.eval()


def _loss(module: Any, batch: Tensor, drawn: Tensor, F: Any) -> Tensor:
    import torch

    real = batch[:, 1:] >= 0
    users, targets = module.users(batch[:, :-1])[real], batch[:, 1:][real]
    vectors, biases = module.items(drawn)
    true, bias = module.items(targets)
    against = (users @ vectors.T + biases).masked_fill(targets[:, None] == drawn[None, :], -torch.inf)
    logits = torch.cat([((users * true).sum(-1) + bias)[:, None], against], dim=1)
    loss: Tensor = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    return loss
