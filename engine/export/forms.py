"""Forms: the ways in which a stored version can answer on this machine.

A version holds its torch model and perhaps one ONNX export. Every other form is derived from it into the cache, under
the hash of the version's manifest: a version never changes, one trained elsewhere gets its forms here, and what a
library of this machine made (OpenVINO's model, say) is nothing to store, promote and carry to others.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from engine import resources
from engine.errors import InputError
from engine.export import openvino
from engine.recipe import CHAT

Form = Literal["torch", "onnx", "onnx-fp32", "onnx-int8", "openvino", "openvino-int8"]
FORMS: tuple[Form, ...] = get_args(Form)
"""`onnx` is the export that was stored; the others are what they say, `openvino` in floats."""


def key(folder: Path) -> str | None:
    """SHA-256 of the manifest in a version's folder: stands for the whole version; None before it is stored."""
    manifest = folder / "manifest.json"
    return hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else None


def precision(folder: Path) -> str | None:
    """Of the ONNX export in a version's folder; None where there is none, or it is not stored yet."""
    if not (folder / "onnx" / "model.onnx").is_file() or key(folder) is None:
        return None
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return str(manifest.get("export", {}).get("precision"))


def locate(folder: Path, form: Form) -> Path | None:
    """The file or folder that a session opens for the form; None where it is not made."""
    stored = folder / "onnx" / "model.onnx"
    if form == "torch":
        return folder / "model"
    if form == "onnx" or form == f"onnx-{precision(folder)}":
        return stored if stored.is_file() else None
    version = key(folder)
    if version is None:
        return None
    path = _cached(version, form) / (openvino.FILE if form.startswith("openvino") else "model.onnx")
    return path if path.is_file() else None


def size(folder: Path, form: Form) -> int:
    """Bytes on disk of what the form reads, the tokenizer and settings aside."""
    place = locate(folder, form)
    if place is None:
        return 0
    held = place.glob("*.safetensors") if place.is_dir() else [place, *place.parent.glob("*.bin")]
    return sum(path.stat().st_size for path in held)


def possible(folder: Path) -> list[Form]:
    """The forms that a version can have here, `onnx` standing for the precision that it was stored in."""
    from engine.tasks.heads import ModelSpec

    if ModelSpec.read(folder / "model").task in CHAT:
        return ["torch"]
    held = precision(folder)
    found: list[Form] = ["torch", "onnx"] if held else ["torch"]
    found += [form for form in ("onnx-fp32", "onnx-int8") if form != f"onnx-{held}"]  # type: ignore[misc]
    if openvino.is_installed():
        found += ["openvino", "openvino-int8"]
    return found


def make(folder: Path, form: Form, texts: Sequence[str]) -> Path:
    """The form of the version in `folder`, derived into the cache where it is not there yet.

    Args:
        texts: like those to come; on them ONNX int8 finds the outliers to smooth.

    Raises:
        InputError: the version cannot have the form.
    """
    if place := locate(folder, form):
        return place
    version = key(folder)
    if version is None or form == "onnx":
        raise InputError(f"{folder}: has no ONNX export; ask for onnx-fp32 or onnx-int8, which are made into the cache")
    to = _cached(version, form)
    staged = to.with_name(f".{to.name}-{os.getpid()}")
    staged.mkdir(parents=True, exist_ok=True)
    try:
        if form.startswith("openvino"):
            openvino.convert(make(folder, "onnx-fp32", texts), staged, int8=form == "openvino-int8")
        else:
            _export(folder, staged, texts, int8=form == "onnx-int8")
        if not to.exists():  # another process may have been faster
            staged.rename(to)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    found = locate(folder, form)
    assert found is not None
    return found


def _export(folder: Path, to: Path, texts: Sequence[str], *, int8: bool) -> None:
    from tokenizers import Tokenizer

    from engine.export import onnx
    from engine.tasks import bi_encoder, encoder
    from engine.tasks.encoding import Rows
    from engine.tasks.heads import ModelSpec

    spec = ModelSpec.read(folder / "model")
    if spec.task in CHAT:
        raise InputError(f"{folder}: a model of task {spec.task} answers as it was stored; it has no other forms")
    tokenizer = Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(spec.max_length)
    shown = texts[: onnx.SMOOTHED_ON]
    sample = Rows([found.ids for found in tokenizer.encode_batch([spec.prefix + text for text in shown])], {})
    model = (bi_encoder if spec.task == "embed" else encoder).load(folder / "model")
    onnx.export(model, to, sample, precision="int8" if int8 else "fp32")


def _cached(version: str, form: Form) -> Path:
    return resources.home() / "cache" / "forms" / version[:16] / form
