"""Current: what is made of promoted versions, swapped while it answers.

alias moves ──> noticed within a second ──> hashes verified ──> made beside the old ──> swapped at once
                                                 └─ broken: the old one stays, readiness and log say so

Whoever took the old one before the swap keeps it to the end of its work; it is freed with the last of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.errors import KeelError, StoreError
from engine.service.readiness import Readiness
from engine.service.renewal import EVERY_S, Renewal, trusted
from engine.store import Store, Version

MOST = 16
"""Versions held at once; the one asked for longest ago makes room."""
T = TypeVar("T")


@dataclass
class _Held(Generic[T]):
    version: Version
    value: T
    asked: float


class Current(Generic[T]):
    """What `made` makes of the version that a reference stands for; threads share it.

    Args:
        made: takes its time, and leaves nothing to be loaded at the first question.
        wanted: references that are loaded at the start, and that readiness waits for.
        most: held at once; those wanted always are.
    """

    def __init__(
        self,
        made: Callable[[Version], T],
        *,
        store: Store | None = None,
        wanted: Sequence[str] = (),
        most: int = MOST,
        every_s: float = EVERY_S,
    ) -> None:
        self.store = store or Store()
        self._made, self._wanted, self._most, self._every_s = made, tuple(wanted), most, every_s
        self._held: dict[str, _Held[T]] = {}
        self._renewal = Renewal()
        self._making, self._ending = threading.Lock(), threading.Event()
        self._watch = threading.Thread(target=self._watched, name="champions", daemon=True)

    def start(self) -> None:
        """Load what is wanted and watch the aliases, in a thread of its own until `close`."""
        self._watch.start()

    def get(self, reference: str) -> T:
        """What answers for "name", "name@alias" or "name@number" now; loaded when it is first asked for.

        Raises:
            InputError: there is no such version.
            StoreError: it is not whole, or does not load.
        """
        value = self.held(reference)
        if value is None:
            with self._making:
                if reference not in self._held:
                    version = self.store.get(reference)
                    if not self._renewal.due(reference, str(version), None):
                        # A caller that asks again and again must not have it read each time.
                        raise StoreError(self._renewal.reason(reference))
                    self._renewal.take(reference, str(version), None, lambda: self._take(reference, version))
                return self._held[reference].value
        return value

    def held(self, reference: str) -> T | None:
        """As `get`, if it is loaded: takes no time."""
        held = self._held.get(reference)
        if held is None:
            return None
        held.asked = time.monotonic()
        return held.value

    def readiness(self) -> Readiness:
        """Ready when all that is wanted is loaded; a newer version that was refused is told of beside it."""
        names = dict.fromkeys((*self._wanted, *self._held))
        details = {name: self._renewal.told(name, self._answering(name)) for name in names}
        return Readiness(all(name in self._held for name in self._wanted), details)

    def close(self) -> None:
        """End the watch; what is held goes on answering."""
        self._ending.set()
        if self._watch.ident:
            self._watch.join()

    def _watched(self) -> None:
        while not self._ending.is_set():
            for reference in dict.fromkeys((*self._wanted, *self._held)):
                with self._making:
                    self._look(reference)
            self._ending.wait(self._every_s)

    def _look(self, reference: str) -> None:
        old = self._answering(reference)
        if old is None and reference not in self._wanted:  # it has made room
            return
        try:
            version = self.store.get(reference)
            if self._renewal.due(reference, str(version), old):
                self._renewal.take(reference, str(version), old, lambda: self._take(reference, version))
        except (KeelError, OSError, ValueError) as fault:
            self._renewal.refuse(reference, reference, old, fault)

    def _take(self, reference: str, version: Version) -> None:
        before = self._held.get(reference)
        same = next((one for one in list(self._held.values()) if one.version == version), None)
        value = same.value if same else self._made(trusted(self.store, version))
        self._held[reference] = _Held(version, value, before.asked if before else time.monotonic())
        spare = sorted(set(self._held) - {*self._wanted, reference}, key=lambda one: self._held[one].asked)
        for one in spare[: max(0, len(self._held) - self._most)]:
            del self._held[one]

    def _answering(self, reference: str) -> str | None:
        held = self._held.get(reference)
        return str(held.version) if held else None
