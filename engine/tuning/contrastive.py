"""Few shots by contrast: texts of one label are drawn together and others apart, then the head is a regression.

As SetFit does (Tunstall et al. 2022, arXiv 2209.11055), with the supervised contrastive loss over the whole batch
(Khosla et al. 2020, arXiv 2004.11362) instead of single pairs. Pairs are drawn as they are needed: memory does not grow
with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Sampler

from engine.data.batches import Share
from engine.tasks.encoder import EncoderModel
from engine.tasks.encoding import Rows
from engine.tuning.objective import share

TEMPERATURE = 0.07
ROUNDS = 4
"""Pairs drawn for each row in an epoch."""


class Contrast(nn.Module):
    """The encoder under the supervised contrastive loss of its one label head."""

    def __init__(self, model: EncoderModel) -> None:
        super().__init__()
        self.encoder = model.encoder
        self._embed = model.embed
        self._labels = f"labels_{model.specs[0].name}"

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **targets: Tensor) -> dict[str, Tensor]:
        vectors = F.normalize(self._embed(input_ids, attention_mask).float(), dim=-1)
        return {"loss": loss(vectors, targets[self._labels]) * share(targets)}

    def items(self, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """None: the loss is a mean over the batch's pairs, and batches do not add up to one."""
        return {}


def loss(vectors: Tensor, labels: Tensor) -> Tensor:
    """Supervised contrastive loss, the mean over the texts that have a partner.

    Args:
        vectors: unit vectors, shape (rows, width).
        labels: label numbers, shape (rows,).
    """
    same = labels[:, None] == labels[None, :]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    scores = (vectors @ vectors.T / TEMPERATURE).masked_fill(itself, float("-inf"))
    log_share = F.log_softmax(scores, dim=-1).masked_fill(itself, 0.0)
    partners = same & ~itself
    counts = partners.sum(1)
    each = -(log_share * partners).sum(1) / counts.clamp(min=1)
    return each[counts > 0].mean() if bool((counts > 0).any()) else vectors.sum() * 0.0


class PairSampler(Sampler[list[int]]):
    """Batches of rows, each beside another row of its label, within the token budget.

    Args:
        labels: label number of each row, shape (rows,).
    """

    def __init__(self, lengths: list[int], labels: NDArray[np.int64], batch_tokens: int, *, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._labels = labels
        self._rows = {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
        self._pairs = max(1, int(batch_tokens / max(1.0, 2 * float(self._lengths.max()))))
        self._seed = seed
        self.epoch = 0

    @property
    def batch_sampler(self) -> PairSampler:
        """Trainer calls `set_epoch` on the sampler inside the loader's batch sampler: here they are one."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-ROUNDS * len(self._labels) // self._pairs)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self._seed, self.epoch])
        batch: list[int] = []
        for _ in range(ROUNDS):
            for row in random.permutation(len(self._labels)).tolist():
                batch += [row, int(random.choice(self._rows[self._labels[row]]))]
                if len(batch) == 2 * self._pairs:
                    yield batch
                    batch = []
        if batch:
            yield batch


@dataclass
class PairRows(Rows):
    """Rows dealt out in pairs of one label."""

    def sampler(self, batch_tokens: int, *, seed: int, share: Share) -> Any:
        (labels,) = self.targets.values()
        return PairSampler(self.lengths, labels, batch_tokens, seed=seed)


def in_pairs(rows: Rows) -> PairRows:
    """The same rows, dealt out in pairs."""
    return PairRows(**{field.name: getattr(rows, field.name) for field in fields(Rows)})
