"""Part: one application of the house, under a path of its own, and what keeps it from answering."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from apps.console.names import App
from engine import Progress
from engine.errors import InputError, KeelError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from apps.finance_monitor.desk import Desk
    from engine import Watch
    from engine.db import Database

_LOG = logging.getLogger("keel.console")
PATIENCE_S = 5.0
"""For which the end of the house waits for a part that is loading; what it makes on disk is whole or not there."""
RETRY_S = 3.0
"""Between two looks whether what was missing has been made."""
TENANT = "default"
"""Whose articles and models are loaded at the start; another's when it first asks."""
State = Literal["loading", "missing", "ready", "failed"]


@dataclass(frozen=True)
class Settings:
    """What the parts share.

    Args:
        url: the database's.
        watch: counts what the models are asked; it is closed after the parts.
        desk: the monitor's.
        ended: whether the server is about to stop.
    """

    database: Database
    url: str
    watch: Watch
    per_minute: int
    desk: Desk
    ended: Callable[[], bool]


class Told(Progress):
    """Progress as the part's note: what takes minutes is seen on the console to go on."""

    def __init__(self, part: Part) -> None:
        super().__init__(quiet=True)
        self._part = part

    def stage(self, text: str) -> None:
        self._part.note = text


class Part(ABC):
    """Its API answers from the start; what it needs is loaded in a thread, once it is there.

    Attributes:
        tenant: whose alone it is; None: it tells tenants apart.
        state: missing: `note` says which command makes what is not there; it is looked for again and again.
    """

    name: App
    path: str
    tenant: str | None = None
    app: FastAPI

    def __init__(self) -> None:
        self.state: State = "loading"
        self.note = ""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._bring_up, name=f"start {self.name}", daemon=True)

    @abstractmethod
    def load(self) -> None:
        """Load what it answers with.

        Raises:
            InputError: something is missing; the message tells the way out.
        """

    def is_for(self, tenant: str) -> bool:
        """Whether whoever is of that tenant finds anything there."""
        return self.tenant in (None, tenant)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End its threads, and give back what it holds."""
        self._ending.set()
        self._thread.join(PATIENCE_S)

    def failed(self, fault: BaseException) -> None:
        """Say on the console that it answers no more, and why."""
        _LOG.error("%s failed: %s", self.name, fault, exc_info=None if isinstance(fault, KeelError) else fault)
        self.state, self.note = "failed", str(fault)

    def _bring_up(self) -> None:
        while not self._ending.is_set():
            try:
                self.load()
            except InputError as fault:
                self.state, self.note = "missing", str(fault)
                self._ending.wait(RETRY_S)
            except Exception as fault:  # a part that cannot start must not take the others with it
                self.failed(fault)
                return
            else:
                self.state, self.note = "ready", ""
                return
