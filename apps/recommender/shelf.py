"""Shelf: the models of each tenant, loaded once, and kept fresh while they answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from apps.recommender.live import Live
from apps.recommender.logbook import Logbook, hasty
from engine.db import Database
from engine.errors import InputError, KeelError
from engine.service import Readiness
from engine.service.renewal import EVERY_S, Renewal

DEFAULT = "default"


def assigned(given: Sequence[str]) -> dict[str, list[str]]:
    """Tenant -> its models, from "MODEL" or "TENANT=MODEL".

    Raises:
        InputError: two tenants are given one model.
    """
    owners: dict[str, str] = {}
    for one in given:
        tenant, _, model = one.rpartition("=")
        owner = owners.setdefault(model, tenant or DEFAULT)
        if owner != (tenant or DEFAULT):
            raise InputError(
                f"model {model!r} is given to the tenants {owner!r} and {tenant or DEFAULT!r}; it holds the histories "
                "of its users, so train one for each"
            )
    found: dict[str, list[str]] = {}
    for model, tenant in owners.items():
        found.setdefault(tenant, []).append(model)
    return found


class Shelf:
    """A tenant sees its own models and what was told for it, and nothing of another's.

    Raises:
        InputError: a model is not stored.
    """

    def __init__(self, database: Database, models: Mapping[str, Sequence[str]]) -> None:
        self.database, self._lists = database, hasty(database)
        self._logbooks: dict[str, Logbook] = {}
        self._models: dict[str, dict[str, Live]] = {}
        for tenant, names in models.items():
            for name in names:
                self.put(tenant, name)
        self._ending, self._renewal = threading.Event(), Renewal()

    def put(self, tenant: str, name: str) -> None:
        """Serve one more model, from the next request on.

        Raises:
            InputError: it is not stored.
        """
        live = Live(name, self.logbook(tenant))
        self._models = {**self._models, tenant: {**self.models(tenant), name: live}}

    def models(self, tenant: str) -> dict[str, Live]:
        return self._models.get(tenant, {})

    def logbook(self, tenant: str) -> Logbook:
        # A second one made at the same time by another thread would do no harm.
        return self._logbooks.setdefault(tenant, Logbook(self.database, tenant, self._lists))

    def keep_fresh(self, every_s: float) -> None:
        """Take in promoted bundles, each within seconds, and every so often what was told, until `close`; for a thread
        of its own."""
        due = time.monotonic() + every_s
        while not self._ending.wait(EVERY_S):
            whole = time.monotonic() > due
            for models in self._models.values():
                for name, live in models.items():
                    self._look(name, live, whole=whole)
            if whole:
                due = time.monotonic() + every_s

    def _look(self, name: str, live: Live, *, whole: bool) -> None:
        old = live.recommender.version
        try:
            version = str(live.promoted())
            if self._renewal.due(name, version, old):
                self._renewal.take(name, version, old, live.renewed)
            elif whole and version == old:
                live.renewed()
        except (KeelError, OSError, ValueError) as fault:  # what there is answers on
            self._renewal.refuse(name, name, old, fault)

    def readiness(self) -> Readiness:
        """Its models were loaded before it was there; a newer bundle that was refused is told of."""
        lives = {name: live for models in self._models.values() for name, live in models.items()}
        return Readiness(True, {name: self._renewal.told(name, one.recommender.version) for name, one in lives.items()})

    def close(self) -> None:
        self._ending.set()
        if self._lists is not self.database:
            self._lists.close()
