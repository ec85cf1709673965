"""Cross-encoder: reads pairs of texts on as many threads as there are cores, and stops when the time is up."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from pathlib import Path

import numpy as np

from apps.recommender.fusion import Doubles
from apps.recommender.pace import Pace
from engine import Store, load

WARM = 4
"""Pairs that are read before the first request, for a first measure."""
LONG = ("word " * 50, "word " * 40)

Pair = tuple[str, str]


class CrossEncoder:
    """One stored model of pairs; requests share its threads and its pace."""

    def __init__(self, model: str) -> None:
        self.predictor = load(model)
        workers = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="cross-encoder")
        began = time.perf_counter()
        for _ in range(WARM):
            self._logit(LONG)
        self.pace = Pace((time.perf_counter() - began) / WARM, workers)

    @classmethod
    def of(cls, model: str) -> CrossEncoder:
        """The one of a stored model: a catalogue that grows needs no other."""
        return _loaded(Store().get(model).folder, model)

    def read(self, pairs: Sequence[Pair], deadline: float | None = None) -> Doubles:
        """Logits of the first pairs, in order.

        Args:
            deadline: on `time.perf_counter`; as many are read as will be done by then, and what is not is given up.
                None: all are read, whatever it takes.
        """
        if deadline is None:
            return np.array(list(self._pool.map(self._logit, pairs)), np.float64)
        count = self.pace.take(deadline - time.perf_counter(), len(pairs))
        futures = [self._submitted(pair) for pair in pairs[:count]]
        wait(futures, timeout=max(deadline - time.perf_counter(), 0.0))
        for one in futures:
            one.cancel()
        done = [one.done() and not one.cancelled() for one in futures]
        first = done.index(False) if False in done else len(done)
        return np.array([one.result() for one in futures[:first]], np.float64)

    def _submitted(self, pair: Pair) -> Future[float]:
        future = self._pool.submit(self._timed, pair)
        future.add_done_callback(lambda one: self.pace.done(None) if one.cancelled() else None)
        return future

    def _timed(self, pair: Pair) -> float:
        began = time.perf_counter()
        try:
            return self._logit(pair)
        finally:
            self.pace.done(time.perf_counter() - began)

    def _logit(self, pair: Pair) -> float:
        return float(self.predictor.logits([pair])["relevance"][0, 0])


@lru_cache(maxsize=2)
def _loaded(folder: Path, model: str) -> CrossEncoder:
    return CrossEncoder(model)
