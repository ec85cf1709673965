"""Next item: the training that the user encoder of texts and the sequence model share.

Every place of a history is an example: what came next, against items drawn evenly from the catalogue. With negatives
drawn evenly the softmax learns how likely an item is next, its popularity included; negatives taken from the batch
would need a correction by the logarithm of their frequency for that (Bengio & Senecal 2008; Yi et al. 2019).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from apps.recommender.past import Floats, Ints, Past

if TYPE_CHECKING:
    from torch import Tensor

BATCH, NEGATIVES = 256, 2048
LONGEST = 20
"""Events of a history's end that are read."""


class NextItem(Protocol):
    """A module that reads histories and knows items."""

    def users(self, items: Tensor) -> Tensor:
        """Vectors after each event, shape (histories, length, width); items of -1 are padding behind."""

    def items(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors and biases of items, shapes (items, width) and (items,)."""


def train(
    model: Any, past: Past, catalogue: int, *, epochs: int, learning_rate: float, decay: float, seed: int, step: Any
) -> None:
    """Fit the module to what came next in the histories.

    Args:
        step: called with the number of each step done, and of all.
    """
    import torch
    from torch.nn import functional as F

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    table = past.padded(LONGEST + 1)[past.lengths > 1]
    groups = [{"params": [p for p in model.parameters() if p.requires_grad], "weight_decay": decay}]
    optimiser = torch.optim.AdamW(groups, lr=learning_rate)
    steps = epochs * -(-len(table) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=max(steps, 2), pct_start=0.1, cycle_momentum=False
    )
    model.train()
    done = 0
    for _ in range(epochs):
        order = random.permutation(len(table))
        for first in range(0, len(order), BATCH):
            rows = table[order[first : first + BATCH]]
            rows = rows[:, : int((rows >= 0).sum(axis=1).max())]
            batch = torch.from_numpy(rows.astype(np.int64))
            real = batch[:, 1:] >= 0
            users = model.users(batch[:, :-1])[real]
            targets = batch[:, 1:][real]
            drawn = torch.from_numpy(random.integers(catalogue, size=min(NEGATIVES, catalogue)))
            vectors, biases = model.items(drawn)
            true, bias = model.items(targets)
            against = users @ vectors.T + biases
            against = against.masked_fill(targets[:, None] == drawn[None, :], -torch.inf)
            logits = torch.cat([((users * true).sum(-1) + bias)[:, None], against], dim=1)
            loss = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            done += 1
            step(done, steps, f"{float(loss.detach()):.3f}" if done % 50 == 0 else "")
    model.eval()


def user_vectors(model: Any, past: Past) -> Floats:
    """Vectors of the histories as they end, shape (histories, width); of an empty one zeros."""
    import torch

    table = past.padded(LONGEST)
    found: list[Floats] = []
    with torch.inference_mode():
        for first in range(0, len(table), 1024):
            batch = torch.from_numpy(table[first : first + 1024].astype(np.int64))
            lengths = (batch >= 0).sum(dim=1)
            width = max(int(lengths.max()), 1)
            vectors = model.users(batch[:, :width])
            ends = vectors[torch.arange(len(batch)), (lengths - 1).clamp(min=0)]
            found.append((ends * (lengths > 0)[:, None]).numpy())
    return np.concatenate(found)


def item_vectors(model: Any, catalogue: int) -> tuple[Floats, Floats]:
    """Vectors and biases of all items."""
    import torch

    with torch.inference_mode():
        vectors, biases = model.items(torch.arange(catalogue))
    return vectors.numpy(), biases.numpy()


def scores(users: Floats, vectors: Floats, biases: Floats, owners: Any, candidates: Ints) -> Floats:
    """Logit of each candidate for its user, shape (candidates,)."""
    found = np.empty(len(candidates), np.float32)
    for first in range(0, len(candidates), 65536):
        part = slice(first, first + 65536)
        found[part] = np.einsum("ij,ij->i", users[owners[part]], vectors[candidates[part]]) + biases[candidates[part]]
    return found
