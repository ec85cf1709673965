"""Store: model versions that are whole or absent, never changed, with lineage and hashes; and aliases to them.

<root>/<name>/<number>/manifest.json ...    a version
<root>/<name>/aliases.json                  {"champion": 3, ...}
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
from pathlib import Path
from typing import Any

from engine import resources
from engine.errors import InputError, StoreError

CHAMPION = "champion"
MANIFEST = "manifest.json"
ALIASES = "aliases.json"
HISTORY = "champions.jsonl"
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
        path = self.root / name / ALIASES
        if not path.exists():
            return {}
        found: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
        return found

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
            if not _alive(int(left.name.rpartition("-")[2])):
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
        """Point `alias` at the version; the file of aliases is replaced whole."""
        folder = self.root / version.name
        with self._locked(version.name):
            aliases = self.aliases(version.name)
            if alias == CHAMPION and aliases.get(CHAMPION) not in (None, version.number):
                _append(folder / HISTORY, {"number": aliases[CHAMPION]})
            _replace(folder / ALIASES, json.dumps({**aliases, alias: version.number}, indent=2) + "\n")

    def rollback(self, name: str) -> Version:
        """Make the champion before the present one champion again.

        Raises:
            InputError: there was none before.
        """
        folder = self.root / name
        with self._locked(name):
            history = folder / HISTORY
            lines = history.read_text(encoding="utf-8").splitlines() if history.exists() else []
            if not lines:
                raise InputError(f"{name}: no earlier champion to go back to; see: engine models list")
            number = int(json.loads(lines[-1])["number"])
            _replace(folder / ALIASES, json.dumps({**self.aliases(name), CHAMPION: number}, indent=2) + "\n")
            _replace(history, "".join(line + "\n" for line in lines[:-1]))
        return self.get(f"{name}@{number}")

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
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def _append(path: Path, value: dict[str, Any]) -> None:
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    _replace(path, before + json.dumps(value) + "\n")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
