"""Newer: models that are promoted while the monitor runs, loaded beside those that answer, for it to take over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from apps.finance_monitor.learn import NEWS
from apps.finance_monitor.run import OTHERS, Models
from engine import Store
from engine.errors import KeelError
from engine.service.renewal import EVERY_S, Renewal, trusted


class Newer:
    """
    Args:
        models: that answer now.
        load: the store's champions.
    """

    def __init__(self, models: Models, load: Callable[[], Models], *, every_s: float = EVERY_S) -> None:
        self._models, self._load, self._every_s = models, load, every_s
        self._waiting: Models | None = None
        self._renewal, self._ending = Renewal(), threading.Event()

    def take(self) -> Models | None:
        """The models to go on with, once, when there are others than before."""
        waiting, self._waiting = self._waiting, None
        return waiting

    def watch(self) -> None:
        """Look for what is promoted until `close`; for a thread of its own."""
        while not self._ending.wait(self._every_s):
            old = _told(self._models)
            try:
                new = promoted()
                if self._renewal.due(NEWS, new, old):
                    self._renewal.take(NEWS, new, old, self._renew)
            except (KeelError, OSError, ValueError) as fault:
                self._renewal.refuse(NEWS, NEWS, old, fault)

    def close(self) -> None:
        self._ending.set()

    def _renew(self) -> None:
        store = Store()
        for name in _names(store):
            trusted(store, store.get(name))
        # Vectors of stories that wait for others are one encoder's.
        self._models = self._waiting = replace(self._load(), embedder=self._models.embedder)


def promoted() -> str:
    """The champions that a monitor answers by."""
    store = Store()
    return ", ".join(str(store.get(name)) for name in _names(store))


def _names(store: Store) -> list[str]:
    return [NEWS, *(name for name in OTHERS if store.has(name))]


def _told(models: Models) -> str:
    held = {one.model.partition("@")[0]: one.model for one in (*models.champions, models.towards) if one}
    return ", ".join(held[name] for name in (NEWS, *OTHERS) if name in held)
