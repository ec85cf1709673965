"""Batches by token budget: rows of like length together, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

POOL = 50
"""Batches' worth of rows sorted together: a pool, not the epoch, keeps the order random enough to learn from."""


@dataclass(frozen=True)
class Share:
    """Which part of every batch is this process's: rows `rank`, `rank + processes`, ..."""

    rank: int = 0
    processes: int = 1


class TokenBudgetSampler(Sampler[list[int]]):
    """Yields lists of row numbers; rows x longest row stays within `batch_tokens` (one over-long row may stand alone).

    Args:
        lengths: tokens of each row.
        batch_tokens: upper bound of a padded batch, in tokens, over all processes.
        seed: order of the epochs; epoch n of the same seed is always the same. None: longest first, no shuffling.
        queries: number of each row's query; rows of one query stay in one batch.
        share: what of a batch this process gets; every process gets at least one row.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_tokens: int,
        *,
        seed: int | None,
        queries: NDArray[np.int64] | None = None,
        share: Share = Share(),
    ) -> None:
        every = np.asarray(lengths)
        numbers: dict[int, list[int]] = {}
        for row in range(len(every)):
            numbers.setdefault(row if queries is None else int(queries[row]), []).append(row)
        self._units = list(numbers.values())
        self._longest = np.array([every[unit].max() for unit in self._units], dtype=np.int64)
        self._sizes = np.array([len(unit) for unit in self._units], dtype=np.int64)
        self._share = share
        self.batch_tokens = batch_tokens
        self.seed = seed
        self.epoch = 0
        self._count = len(self._batches(0))

    @property
    def batch_sampler(self) -> TokenBudgetSampler:
        """Trainer calls `set_epoch` on the sampler inside the loader's batch sampler: here they are one."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        batches = self._batches(self.epoch)
        # Trainer plans its steps from the first epoch's count; a later epoch may pack into one batch fewer or more.
        while len(batches) < self._count:
            fullest = max(range(len(batches)), key=lambda index: len(batches[index]))
            batch = batches.pop(fullest)
            batches += [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
        while len(batches) > self._count:
            last = batches.pop()
            emptiest = min(range(len(batches)), key=lambda index: len(batches[index]))
            batches[emptiest] = batches[emptiest] + last
        return iter([self._mine(batch) for batch in batches])

    def _mine(self, batch: list[int]) -> list[int]:
        units = batch[self._share.rank :: self._share.processes]
        return [row for unit in units for row in self._units[unit]]

    def _batches(self, epoch: int) -> list[list[int]]:
        """Lists of units (a row, or all rows of a query)."""
        if self.seed is None:
            return self._pack(np.argsort(-self._longest, kind="stable"))
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self._units))
        mean = max(1.0, float((self._longest * self._sizes).mean()))
        units = max(1, int(self.batch_tokens / mean))
        batches: list[list[int]] = []
        for start in range(0, len(order), POOL * units):
            pool = order[start : start + POOL * units]
            batches += self._pack(pool[np.argsort(self._longest[pool], kind="stable")])
        return [batches[index] for index in random.permutation(len(batches))]

    def _pack(self, order: NDArray[np.intp]) -> list[list[int]]:
        batches: list[list[int]] = []
        longest = rows = 0
        for unit in order.tolist():
            longest = max(longest, int(self._longest[unit]))
            rows += int(self._sizes[unit])
            fits = longest * rows <= self.batch_tokens or (batches and len(batches[-1]) < self._share.processes)
            if batches and fits:
                batches[-1].append(unit)
            else:
                batches.append([unit])
                longest, rows = int(self._longest[unit]), int(self._sizes[unit])
        if len(batches) > 1 and len(batches[-1]) < self._share.processes:
            short = batches.pop()
            batches[-1] += short
        return batches
