"""Embedder: unit vectors of texts, from a stored embed model or an untuned base, for likeness and retrieval."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine import base_models, resources
from engine.errors import InputError
from engine.opening import load
from engine.predictor import ApartSession, OnnxSession, TextSession
from engine.store import Store, Version
from engine.tasks.heads import ModelSpec

MAX_LENGTH = 128
Side = Literal["text", "pair"]
"""What is asked with (a query), or what is to be found (a passage); equal for most models."""
Precision = Literal["fp32", "int8"]


class Embedder:
    """Unit vectors of one model, on ONNX Runtime; a base's export is made once into the cache.

    Attributes:
        model: what answers: "minilm", or name and version of a stored model, "faq-embed@3".
        version: the stored version, None for a base.
        backend: "onnx", or "torch" for an embed model that was stored without an export.

    Args:
        base: "minilm", "multilingual", a folder, a hub id, or "store:NAME" (store:NAME@ALIAS, store:NAME@NUMBER). A
            stored embed model answers as it was exported and measured; any other stored model by its encoder.
        width: numbers of a vector, where it should be shorter than the model's; a Matryoshka width serves best.
        precision: of an export that is made here: "int8" answers 2.4 times as many headlines a second as "fp32", and
            its vectors have a cosine of .99 to those.

    Raises:
        InputError: there is no such model, or its vectors have no more than `width` numbers.
    """

    def __init__(self, base: str = "minilm", *, width: int | None = None, precision: Precision = "fp32") -> None:
        self.base = base
        self.width = width
        self.backend = "onnx"
        self.version: Version | None = None
        self._sides: dict[Side, TextSession]
        if base.startswith(base_models.STORED):
            self.version = Store().get(base.removeprefix(base_models.STORED))
        if self.version and ModelSpec.read(self.version.folder / "model").task == "embed":
            predictor = load(str(self.version))
            assert isinstance(predictor.texts, ApartSession)
            self.model, self.backend = predictor.model, predictor.backend
            self._sides = {"text": predictor.texts, "pair": predictor.texts.second}
        else:
            found = base_models.resolve(f"{base_models.STORED}{self.version}" if self.version else base)
            self.model = found.name
            session, tokenizer = OnnxSession(_exported(found, precision)), found.folder / "tokenizer.json"
            prefixes: dict[Side, str] = {"text": found.prefix, "pair": found.pair_prefix}
            self._sides = {
                side: TextSession(session, tokenizer, prefix=prefix, max_length=MAX_LENGTH)
                for side, prefix in prefixes.items()
            }
        if width is not None and width > (have := len(self._sides["text"].one("").outputs[0])):
            raise InputError(f"width {width}: the vectors of {self.model} have {have} numbers")

    def embed(self, texts: Iterable[str], *, side: Side = "text") -> NDArray[np.float32]:
        """Unit vectors, shape (texts, width). A vector never depends on the other texts."""
        return np.stack(list(self.stream(texts, side=side)))

    def stream(self, texts: Iterable[str], *, side: Side = "text") -> Iterator[NDArray[np.float32]]:
        """As `embed`, one vector of shape (width,) at a time."""
        for said in self._sides[side].stream(texts):
            vector = said.outputs[0][: self.width].astype(np.float32)
            yield vector / max(float(np.linalg.norm(vector)), 1e-12)


def _exported(base: base_models.BaseModel, precision: Precision) -> Path:
    weights = base.folder / "model.safetensors"
    state = weights.stat() if weights.exists() else base.folder.stat()
    name = f"embedder-{base.name.replace('/', '--').strip('.')}-{state.st_size}"
    folder = resources.home() / "cache" / (name if precision == "fp32" else f"{name}-{precision}")
    if not folder.is_dir():
        from engine.export import onnx
        from engine.tasks.encoder import load_encoder

        staged = folder.with_name(f".{folder.name}-{os.getpid()}")
        path = onnx.export_encoder(load_encoder(base.folder), staged)
        if precision == "int8":
            onnx.quantize(path)
        try:
            staged.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(staged, ignore_errors=True)
    return folder / "model.onnx"
