"""Where things are: the packaged recipes and data, files a recipe names, and Keel's home on this machine."""

from __future__ import annotations

import hashlib
import os
import re
from importlib.resources import files
from pathlib import Path

from engine.errors import InputError


def packaged() -> Path:
    """Folder that holds `recipes/` and `data/`: inside an installed wheel, or the checkout itself."""
    engine = Path(str(files("engine")))
    inside = engine / "_packaged"
    return inside if inside.is_dir() else engine.parent


def home() -> Path:
    """`KEEL_HOME`, or the user's data folder: holds the store and the cache."""
    if value := os.environ.get("KEEL_HOME"):
        return Path(value)
    from platformdirs import user_data_path

    return user_data_path("keel")


def find(name: str | Path, *, kind: str = "file") -> Path:
    """The file `name` stands for: environment variables expanded, then the working folder, then what is packaged.

    Raises:
        InputError: there is no such file, or the name holds a variable that is not set.
    """
    expanded = os.path.expanduser(os.path.expandvars(str(name)))
    if unset := re.search(r"\$\{?(\w+)", expanded):
        raise InputError(f"{name}: the environment variable {unset[1]} is not set; set it, or name the {kind} outright")
    for folder in (Path(), packaged()):
        if (path := folder / expanded).is_file():
            return path
    raise InputError(f"{name}: no such {kind}, neither from {Path.cwd()} nor among Keel's own")


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def text(name: str) -> str:
    """What stands in a text file, found as `find` finds it.

    Raises:
        InputError: it is not there, or not UTF-8.
    """
    try:
        return find(name, kind="text file").read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InputError(f"{name}: not UTF-8 at byte {fault.start + 1}; save the file as UTF-8") from None
