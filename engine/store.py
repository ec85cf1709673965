"""Store: model versions that are whole or absent, never changed, with lineage and hashes; and aliases to them.

<root>/<name>/<number>/manifest.json ...    a version
<root>/<name>/aliases.json                  {"champion": 3, ..., "changes": [{"number": 3, "way": "promoted", ...}]}

Aliases and the changes of champion are one file, replaced whole: a process killed while it promotes or rolls back has
done all of it or nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from engine import resources
from engine.errors import InputError, StoreError

CHAMPION = "champion"
MANIFEST = "manifest.json"
ALIASES = "aliases.json"
CHANGES = "changes"
FORMER = "champions.jsonl"
"""Of earlier stores; read where there are no changes yet, and never written."""
UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class Version:
    name: str
    number: int
    folder: Path

    def manifest(self) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise StoreError(
                f"{self}: manifest unreadable ({fault}); restore the version or remove {self.folder}"
            ) from None
        return value

    def sha256(self) -> str:
        """Hash of the manifest, which holds the hash of every file: stands for the whole version."""
        return resources.sha256(self.folder / MANIFEST)

    def __str__(self) -> str:
        return f"{self.name}@{self.number}"


@dataclass(frozen=True)
class Change:
    """A version became champion."""

    number: int
    way: Literal["promoted", "rolled back"]
    time: str
    """RFC 3339."""


class Store:
    """The models under `root` (default: `$KEEL_HOME/models`)."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or resources.home() / "models"

    def names(self) -> list[str]:
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if path.is_dir() and self.versions(path.name))

    def versions(self, name: str) -> list[Version]:
        folder = self.root / name
        numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit()) if folder.is_dir() else []
        return [Version(name, number, folder / str(number)) for number in numbers]

    def aliases(self, name: str) -> dict[str, int]:
        return {alias: number for alias, number in self._pointers(name).items() if alias != CHANGES}

    def changes(self, name: str) -> list[Change]:
        """The changes of champion, the oldest first."""
        found = self._pointers(name)
        if CHAMPION in found and CHANGES not in found:  # as stores were written before changes were
            return [
                Change(number, "promoted", "") for number in (*self._former(name, found[CHAMPION]), found[CHAMPION])
            ]
        return [Change(**one) for one in found.get(CHANGES, [])]

    def get(self, reference: str) -> Version:
        """The version that "name", "name@alias" or "name@number" stands for; a bare name means its champion.

        Raises:
            InputError: there is none; the message lists what there is.
        """
        name, _, which = reference.partition("@")
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
            raise InputError(f"{reference}: not a model's name; write name, name@alias or name@number")
        versions = {version.number: version for version in self.versions(name)}
        if not versions:
            known = ", ".join(self.names()) or "none yet; make one with: engine train RECIPE"
            raise InputError(f"{name}: no such model in {self.root}; there are: {known}")
        aliases = self.aliases(name)
        number = int(which) if which.isdigit() else aliases.get(which or CHAMPION)
        if number not in versions:
            known = ", ".join([*aliases, *map(str, versions)])
            raise InputError(f"{reference}: no such version; {name} has: {known}")
        return versions[number]

    def has(self, reference: str) -> bool:
        try:
            self.get(reference)
        except InputError:
            return False
        return True

    @contextlib.contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """A folder to fill; what a killed process left behind is cleared first."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{UNFINISHED}*"):
            process = int(left.name.rpartition("-")[2])
            if process == os.getpid() or not _alive(process):  # in a container numbers of processes come again
                shutil.rmtree(left, ignore_errors=True)
        place = folder / f"{UNFINISHED}{os.getpid()}"
        place.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def commit(self, name: str, staged: Path, manifest: dict[str, Any]) -> Version:
        """Make the staged folder the next version: hash every file, write the manifest, sync, rename.

        A manifest that does not say when it was `made` gets the time.
        """
        paths = [path for path in sorted(staged.rglob("*")) if path.is_file()]
        files = {str(path.relative_to(staged)): resources.sha256(path) for path in paths}
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = json.dumps({"made": made, **manifest, "files": files}, indent=2, ensure_ascii=False)
        (staged / MANIFEST).write_text(text + "\n", encoding="utf-8")
        for path in [*staged.rglob("*"), staged]:
            _sync(path)
        with self._locked(name):
            number = max((version.number for version in self.versions(name)), default=0) + 1
            folder = self.root / name / str(number)
            staged.rename(folder)
            _sync(folder.parent)
        return Version(name, number, folder)

    def promote(self, version: Version, alias: str = CHAMPION) -> None:
        """Point `alias` at the version.

        Raises:
            InputError: no alias is called so.
        """
        if alias == CHANGES or alias.isdigit():
            raise InputError(f"{alias}: no name for an alias; give another")
        with self._locked(version.name):
            if alias != CHAMPION:
                self._point(version.name, {alias: version.number})
            elif self.aliases(version.name).get(CHAMPION) != version.number:
                self._point(version.name, {alias: version.number}, "promoted")

    def rollback(self, name: str) -> Version:
        """Make the champion before the present one champion again.

        Raises:
            InputError: there was none before.
        """
        with self._locked(name):
            before: list[int] = []
            for change in self.changes(name):
                if change.way == "promoted":
                    before.append(change.number)
                else:
                    before.pop()
            if len(before) < 2:
                raise InputError(f"{name}: no earlier champion to go back to; see: engine models list")
            self._point(name, {CHAMPION: before[-2]}, "rolled back")
        return self.get(f"{name}@{before[-2]}")

    def verify(self, version: Version) -> list[str]:
        """What differs from the manifest, a line each: missing, changed and extra files. Empty: all is whole."""
        try:
            expected = version.manifest()["files"]
        except (StoreError, KeyError) as fault:
            return [str(fault)]
        present = {str(path.relative_to(version.folder)): path for path in version.folder.rglob("*") if path.is_file()}
        present.pop(MANIFEST, None)
        faults = [f"{version}: {name} is missing" for name in expected if name not in present]
        faults += [f"{version}: {name} is not in the manifest" for name in present if name not in expected]
        faults += [
            f"{version}: {name} has changed since it was stored"
            for name, path in present.items()
            if name in expected and resources.sha256(path) != expected[name]
        ]
        return faults

    def _former(self, name: str, champion: int) -> list[int]:
        """Champions before this one, the oldest first, as earlier stores kept them: a line each."""
        path = self.root / name / FORMER
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found = [int(json.loads(line)["number"]) for line in lines]
        return found[:-1] if found[-1:] == [champion] else found  # a promotion was killed between the two files

    def _pointers(self, name: str) -> dict[str, Any]:
        path = self.root / name / ALIASES
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return found

    def _point(self, name: str, aliases: dict[str, int], way: Literal["promoted", "rolled back"] | None = None) -> None:
        """Replace the file of aliases; with a `way`, the champion changes."""
        found = {**self._pointers(name), **aliases}
        if way:
            change = Change(aliases[CHAMPION], way, datetime.now(UTC).isoformat(timespec="milliseconds"))
            found[CHANGES] = [vars(one) for one in (*self.changes(name), change)]
        _replace(self.root / name / ALIASES, json.dumps(found, indent=2) + "\n")

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        folder = self.root / name
        if not folder.is_dir():
            raise InputError(f"{name}: no such model in {self.root}")
        with (folder / ".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")  # one writer at a time: what a killed one left is overwritten
    temporary.write_text(text, encoding="utf-8")
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
