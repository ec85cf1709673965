"""Embedder: unit sentence vectors from an untuned base encoder, for likeness of texts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import base_models, resources
from engine.predictor import OnnxSession, TextSession

MAX_LENGTH = 128


class Embedder:
    """Mean-pooled unit vectors of a base model, on ONNX Runtime in float32; the export is made once into the cache.

    Args:
        base: "minilm", "multilingual", a folder or a hub id.
    """

    def __init__(self, base: str = "minilm") -> None:
        found = base_models.resolve(base)
        self.base = base
        self._texts = TextSession(
            OnnxSession(_exported(found)), found.folder / "tokenizer.json", prefix=found.prefix, max_length=MAX_LENGTH
        )

    def embed(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (texts, width). A vector never depends on the other texts."""
        return np.stack(list(self.stream(texts)))

    def stream(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """As `embed`, one vector of shape (width,) at a time."""
        for said in self._texts.stream(texts):
            vector = said.outputs[0].astype(np.float32)
            yield vector / max(float(np.linalg.norm(vector)), 1e-12)


def _exported(base: base_models.BaseModel) -> Path:
    weights = base.folder / "model.safetensors"
    state = weights.stat() if weights.exists() else base.folder.stat()
    folder = resources.home() / "cache" / f"embedder-{base.name.replace('/', '--').strip('.')}-{state.st_size}"
    if not folder.is_dir():
        from engine.export import onnx
        from engine.tasks.encoder import load_encoder

        staged = folder.with_name(f".{folder.name}-{os.getpid()}")
        onnx.export_encoder(load_encoder(base.folder), staged)
        try:
            staged.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(staged, ignore_errors=True)
    return folder / "model.onnx"
