"""Ranking: recommender under /recommend."""

from __future__ import annotations

import threading

from apps.console.names import App
from apps.console.parts.part import TENANT, Part, Settings
from apps.recommender import tables
from apps.recommender.api import application
from apps.recommender.ranker import NAME
from apps.recommender.shelf import Shelf
from engine import Store
from engine.errors import InputError
from engine.service import Queue

FRESH_S = 600.0
"""After which popularity and behaviour take new events in, and a promoted model is taken."""


class Ranking(Part):
    """
    Attributes:
        shelf: the models of each tenant.
    """

    name, path = App.RECOMMENDER, "/recommend"

    def __init__(self, settings: Settings, queue: Queue) -> None:
        super().__init__()
        settings.database.migrate(tables.NAME, tables.MIGRATIONS)
        self.queue = queue
        self.shelf = Shelf(settings.database, {})
        self.app = application(self.shelf, queue=queue, per_minute=settings.per_minute)
        self._fresh = threading.Thread(target=self.shelf.keep_fresh, args=(FRESH_S,), name="fresh")

    def load(self) -> None:
        if not Store().has(NAME):
            raise InputError("there is no ranking model yet; run: recommender train")
        self.shelf.put(TENANT, NAME)

    def start(self) -> None:
        super().start()
        self._fresh.start()

    def close(self) -> None:
        super().close()
        self.shelf.close()
        self._fresh.join()
