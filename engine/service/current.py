"""Current: what is made of promoted versions, swapped while it answers.

alias moves ──> noticed within a second ──> hashes verified ──> made beside the old ──> swapped at once
                                                 └─ broken: the old one stays, readiness and log say so

Whoever took the old one before the swap keeps it to the end of its work; it is freed with the last of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.errors import InputError, KeelError, StoreError
from engine.service.readiness import Readiness
from engine.store import Store, Version

_LOG = logging.getLogger("keel.service")
EVERY_S = 1.0
"""Between two looks at the aliases, each a small file."""
AGAIN_S = 30.0
"""After which a version that was refused is tried again: its files may have been restored."""
MOST = 16
"""Versions held at once; the one asked for longest ago makes room."""
T = TypeVar("T")


@dataclass
class _Held(Generic[T]):
    version: Version
    value: T
    asked: float


@dataclass(frozen=True)
class _Refused:
    version: str
    reason: str
    at: float


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
        self._refused: dict[str, _Refused] = {}
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
                held = self._held.get(reference) or self._first(reference)
            return held.value
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
        details = {}
        for reference in dict.fromkeys((*self._wanted, *self._held)):
            held, refused = self._held.get(reference), self._refused.get(reference)
            told = [f"{held.version} answers" if held else "not loaded"]
            details[reference] = "; ".join([*told, f"{refused.version} is refused: see the log"] if refused else told)
        return Readiness(all(reference in self._held for reference in self._wanted), details)

    def close(self) -> None:
        """End the watch; what is held goes on answering."""
        self._ending.set()
        if self._watch.ident:
            self._watch.join()

    def _watched(self) -> None:
        while not self._ending.is_set():
            for reference in dict.fromkeys((*self._wanted, *self._held)):
                self._look(reference)
            self._ending.wait(self._every_s)

    def _look(self, reference: str) -> None:
        held, refused = self._held.get(reference), self._refused.get(reference)
        try:
            version = self.store.get(reference)
        except (KeelError, OSError, ValueError) as fault:
            self._refuse(reference, reference, fault)
            return
        if held and held.version == version:
            self._refused.pop(reference, None)
        elif refused is None or refused.version != str(version) or time.monotonic() > refused.at + AGAIN_S:
            try:
                with self._making:
                    if reference in self._held or reference in self._wanted:  # it may have made room meanwhile
                        self._taken(reference, version)
            except Exception as fault:  # whatever is wrong with it: the old one answers on
                self._refuse(reference, str(version), fault)

    def _first(self, reference: str) -> _Held[T]:
        version, refused = self.store.get(reference), self._refused.get(reference)
        if refused and refused.version == str(version) and time.monotonic() < refused.at + AGAIN_S:
            raise StoreError(refused.reason)  # a caller that asks again and again must not have it read each time
        try:
            return self._taken(reference, version)
        except Exception as fault:
            self._refuse(reference, str(version), fault)
            raise

    def _taken(self, reference: str, version: Version) -> _Held[T]:
        before = self._held.get(reference)
        same = next((one for one in list(self._held.values()) if one.version == version), None)
        value = same.value if same else self._made(trusted(self.store, version))
        held = _Held(version, value, before.asked if before else time.monotonic())
        self._held[reference] = held
        self._refused.pop(reference, None)
        if before:
            _LOG.info("%s answers in the place of %s", version, before.version)
        spare = sorted(set(self._held) - {*self._wanted, reference}, key=lambda one: self._held[one].asked)
        for one in spare[: max(0, len(self._held) - self._most)]:
            del self._held[one]
        return held

    def _refuse(self, reference: str, version: str, fault: Exception) -> None:
        before = self._refused.get(reference)
        if before is None or (before.version, before.reason) != (version, str(fault)):
            held = self._held.get(reference)
            _LOG.error("%s is not taken, %s: %s", version, f"{held.version} answers on" if held else "none", fault)
        self._refused[reference] = _Refused(version, str(fault), time.monotonic())


def trusted(store: Store, version: Version) -> Version:
    """The version, if it and the versions it names as components are what was stored.

    Raises:
        StoreError: a file is missing, changed, or new.
    """
    faults = store.verify(version)
    for component in [] if faults else version.manifest().get("components", ()):
        if "@" in component:  # a base has hashes of its own, looked at when it is loaded
            try:
                faults += store.verify(store.get(component))
            except InputError as fault:
                faults.append(str(fault))
    if faults:
        raise StoreError(f"{version} is not whole: {'; '.join(faults)}")
    return version
