"""Batches by token budget: rows of like length together, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

POOL = 50
"""Batches' worth of rows sorted together: a pool, not the epoch, keeps the order random enough to learn from."""


class TokenBudgetSampler(Sampler[list[int]]):
    """Yields lists of row numbers; rows x longest row stays within `batch_tokens` (one over-long row may stand alone).

    Args:
        lengths: tokens of each row.
        batch_tokens: upper bound of a padded batch, in tokens.
        seed: order of the epochs; epoch n of the same seed is always the same. None: longest first, no shuffling.
    """

    def __init__(self, lengths: Sequence[int], batch_tokens: int, *, seed: int | None) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_tokens = batch_tokens
        self.seed = seed
        self.epoch = 0
        self._count = len(self._batches(0))

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        batches = self._batches(self.epoch)
        # Trainer plans its steps from the first epoch's count; a later epoch may pack into one batch fewer or more.
        while len(batches) < self._count:
            longest = max(range(len(batches)), key=lambda index: len(batches[index]))
            batch = batches.pop(longest)
            batches += [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
        while len(batches) > self._count:
            last = batches.pop()
            shortest = min(range(len(batches)), key=lambda index: len(batches[index]))
            batches[shortest] = batches[shortest] + last
        self.epoch += 1
        return iter(batches)

    def _batches(self, epoch: int) -> list[list[int]]:
        if self.seed is None:
            return self._pack(np.argsort(-self.lengths, kind="stable"))
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.lengths))
        rows = max(1, int(self.batch_tokens / max(1.0, float(self.lengths.mean()))))
        batches: list[list[int]] = []
        for start in range(0, len(order), POOL * rows):
            pool = order[start : start + POOL * rows]
            batches += self._pack(pool[np.argsort(self.lengths[pool], kind="stable")])
        return [batches[index] for index in random.permutation(len(batches))]

    def _pack(self, order: np.ndarray) -> list[list[int]]:
        batches: list[list[int]] = []
        longest = 0
        for row in order.tolist():
            longest = max(longest, int(self.lengths[row]))
            if batches and longest * (len(batches[-1]) + 1) <= self.batch_tokens:
                batches[-1].append(row)
            else:
                batches.append([row])
                longest = int(self.lengths[row])
        return batches
