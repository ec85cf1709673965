"""Renewal: a new version in the place of an old one, or refused, told of once, and tried again later.

Whoever serves something made of stored versions looks at the aliases every `EVERY_S` and lets a `Renewal` take what
moved: champions of texts, rankers, bots.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import InputError, StoreError
from engine.store import Store, Version

_LOG = logging.getLogger("keel.service")
EVERY_S = 1.0
"""Between two looks at the aliases, each a small file."""
AGAIN_S = 30.0
"""After which a version that was refused is tried again: its files may have been restored."""


@dataclass(frozen=True)
class _Refused:
    version: str
    reason: str
    at: float


class Renewal:
    """For threads of which one takes at a time."""

    def __init__(self) -> None:
        self._refused: dict[str, _Refused] = {}

    def due(self, name: str, version: str, old: str | None) -> bool:
        """Whether the version is to be taken in the place of the old: it is another, and not refused just now."""
        if version == old:
            self._refused.pop(name, None)
            return False
        refused = self._refused.get(name)
        return refused is None or refused.version != version or time.monotonic() > refused.at + AGAIN_S

    def take(self, name: str, version: str, old: str | None, taking: Callable[[], object]) -> None:
        """Do what takes the version; of a fault the log says that the old one answers on.

        Raises:
            Exception: the fault, where there is no old one.
        """
        try:
            taking()
        except Exception as fault:  # whatever is wrong with the version: nobody must go without an answer
            self.refuse(name, version, old, fault)
            if old is None:
                raise
        else:
            self._refused.pop(name, None)
            if old is not None:
                _LOG.info("%s answers in the place of %s", version, old)

    def refuse(self, name: str, version: str, old: str | None, fault: Exception) -> None:
        before = self._refused.get(name)
        if before is None or (before.version, before.reason) != (version, str(fault)):
            _LOG.error("%s is not taken, %s: %s", version, f"{old} answers on" if old else "none answers", fault)
        self._refused[name] = _Refused(version, str(fault), time.monotonic())

    def reason(self, name: str) -> str:
        """Why what was refused last was."""
        return self._refused[name].reason

    def told(self, name: str, old: str | None) -> str:
        """How that name stands, for readiness: no fault's text, which may hold a path."""
        answers = f"{old} answers" if old else "not loaded"
        refused = self._refused.get(name)
        return f"{answers}; {refused.version} is refused: see the log" if refused else answers


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
