"""Choice: which form of a version answers on this machine when none is asked for, as `engine bench` measured it.

`$KEEL_HOME/cache/backends.json`: {SHA-256 of the version's manifest: {processor: {"form": ..., "measured": ...}}}.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from functools import cache
from pathlib import Path
from typing import Any

from engine import resources
from engine.export import forms, openvino
from engine.export.forms import FORMS, Form


def automatic(folder: Path) -> Form:
    """What `backend="auto"` means for the version in `folder`: the form chosen here, if it is there and runs; else
    the stored export; else torch."""
    form = chosen(folder)
    if form and forms.locate(folder, form) and (not form.startswith("openvino") or openvino.is_installed()):
        return form
    return "onnx" if forms.locate(folder, "onnx") else "torch"


def chosen(folder: Path) -> Form | None:
    """The form that `engine bench` chose for the version on this kind of processor."""
    path, version = _file(), forms.key(folder)
    if version is None or not path.is_file():
        return None
    found = _read(path).get(version, {}).get(processor(), {}).get("form")
    return found if found in FORMS else None


def choose(folder: Path, form: Form, **told: Any) -> None:
    """Note the form for the version in `folder` on this kind of processor, with what else is `told` of it."""
    path, version = _file(), forms.key(folder)
    assert version is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        held = _read(path) if path.is_file() else {}
        note = {"form": form, "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **told}
        held.setdefault(version, {})[processor()] = note
        temporary = path.with_name(f".{path.name}-{os.getpid()}")
        temporary.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)


@cache
def processor() -> str:
    """The model's name of the processor, as far as the system tells."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file() -> Path:
    return resources.home() / "cache" / "backends.json"


def _read(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """The choices; none from a file that is damaged, since a cache can always be made anew."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(value, dict) and all(isinstance(held, dict) for held in value.values())
    return value if whole else {}
