"""Predictor: a stored version that answers texts, calibrated, typed and in order.

A result never depends on its neighbours: dynamic int8 shares one activation scale over a batch, so on CPUs every text
is a call of its own, one single-threaded call a core at a time (bitwise stable, and faster than sorted batches).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, StoreError
from engine.evaluate.calibration import probabilities
from engine.evaluate.metrics import THRESHOLD
from engine.store import Store, Version
from engine.tasks.heads import HeadSpec, ModelSpec

Backend = Literal["auto", "torch", "onnx"]
Arrays = dict[str, NDArray[np.float64]]
CHUNK = 256
"""Texts handed to the threads at once: bounds what waits in memory when the input is a stream."""


@dataclass(frozen=True)
class Answer:
    """What one head says of a text."""

    labels: tuple[str, ...]
    """The label; for a multi-label head all labels at 0.5 or above, most probable first, perhaps none."""
    probabilities: dict[str, float]

    @property
    def label(self) -> str:
        """The first label.

        Raises:
            ValueError: a multi-label head gave none.
        """
        if not self.labels:
            raise ValueError("no label reached the threshold")
        return self.labels[0]


@dataclass(frozen=True)
class Prediction:
    heads: dict[str, Answer]
    model: str
    """Name and version that answered, "finance-news@3"."""
    backend: str

    def __getitem__(self, head: str) -> Answer:
        return self.heads[head]


class Session(Protocol):
    """One loaded model: token ids of one text in, the outputs for it out, each of shape (width,)."""

    def __call__(self, input_ids: list[int]) -> list[NDArray[np.float64]]: ...


class TextSession:
    """Texts in, a session's outputs out, in order, one text a call and as many calls at a time as there are cores."""

    def __init__(self, session: Session, tokenizer: Path, *, prefix: str, max_length: int) -> None:
        from tokenizers import Tokenizer

        self._session = session
        self._prefix = prefix
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._threads = os.cpu_count() or 1

    def stream(self, texts: Iterable[str]) -> Iterator[list[NDArray[np.float64]]]:
        from concurrent.futures import ThreadPoolExecutor
        from itertools import islice

        waiting = iter(texts)
        with ThreadPoolExecutor(self._threads) as pool:
            while chunk := list(islice(waiting, CHUNK)):
                yield from pool.map(self.one, chunk)

    def one(self, text: str) -> list[NDArray[np.float64]]:
        """The outputs for one text, in the caller's thread."""
        if not isinstance(text, str):
            raise InputError(f"predict takes texts; got {type(text).__name__}")
        clean = text.encode("utf-8", "replace").decode("utf-8")
        ids = self._tokenizer.encode(self._prefix + clean).ids
        return self._session(ids or [0])  # a tokenizer without special tokens gives none for an empty text


class Predictor:
    """Answers texts by one stored version. Made by `load`, or `Predictor.open` for a folder."""

    def __init__(
        self, texts: TextSession, spec: ModelSpec, temperatures: dict[str, float], *, model: str, backend: str
    ) -> None:
        self.spec = spec
        self.model = model
        self.backend = backend
        self.version: Version | None = None
        self._texts = texts
        self.temperatures = temperatures

    @classmethod
    def open(cls, folder: Path, *, backend: Backend = "auto", model: str = "") -> Predictor:
        """The model in a version's folder.

        Raises:
            InputError: the backend is not among those the version was exported to.
            StoreError: a file of the version is missing or unreadable.
        """
        exported = folder / "onnx" / "model.onnx"
        chosen = ("onnx" if exported.exists() else "torch") if backend == "auto" else backend
        if chosen == "onnx" and not exported.exists():
            raise InputError(
                f"{model or folder}: has no ONNX export; ask for backend torch, or train with export.format: onnx"
            )
        try:
            spec = ModelSpec.read(folder / "model")
            temperatures = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))["temperatures"]
            session: Session = OnnxSession(exported) if chosen == "onnx" else _Torch(folder / "model")
            tokenizer = folder / "model" / "tokenizer.json"
            texts = TextSession(session, tokenizer, prefix=spec.prefix, max_length=spec.max_length)
        except Exception as fault:
            raise StoreError(f"{model or folder}: does not load ({fault}); see: engine models verify") from None
        return cls(texts, spec, temperatures, model=model or folder.name, backend=chosen)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One result a text, in order."""
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str]) -> Iterator[Prediction]:
        """As `predict`, for texts that come one after the other."""
        for logits in self._texts.stream(texts):
            answers = {}
            for head, values in zip(self.spec.heads, logits, strict=True):
                found = probabilities(values, self.temperatures[head.name], multi_label=head.multi_label)
                answers[head.name] = _answer(head, found)
            yield Prediction(answers, self.model, self.backend)

    def logits(self, texts: Sequence[str]) -> Arrays:
        """Uncalibrated logits a head, each of shape (texts, labels)."""
        rows = list(self._texts.stream(texts))
        return {
            head.name: np.array([row[place] for row in rows]).reshape(len(rows), len(head.labels))
            for place, head in enumerate(self.spec.heads)
        }

    def probabilities(self, texts: Sequence[str]) -> Arrays:
        """Calibrated probabilities a head, each of shape (texts, labels)."""
        found = self.logits(texts)
        return {
            head.name: probabilities(found[head.name], self.temperatures[head.name], multi_label=head.multi_label)
            for head in self.spec.heads
        }


class OnnxSession:
    """A single-threaded ONNX Runtime session on the CPU."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, input_ids: list[int]) -> list[NDArray[np.float64]]:
        ids = np.array([input_ids], dtype=np.int64)
        outputs = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return [np.asarray(values[0], dtype=np.float64) for values in outputs]


class _Torch:
    def __init__(self, folder: Path) -> None:
        import torch

        from engine.tasks import classify

        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = classify.load(folder).to(self._device)

    def __call__(self, input_ids: list[int]) -> list[NDArray[np.float64]]:
        with self._torch.inference_mode():
            ids = self._torch.tensor([input_ids], device=self._device)
            outputs = self._model(ids, self._torch.ones_like(ids))
        return [values[0].cpu().double().numpy() for values in outputs.values()]


def load(reference: str, *, backend: Backend = "auto", store: Store | None = None) -> Predictor:
    """The stored model "name", "name@alias" or "name@number", ready to answer; a bare name means its champion.

    Raises:
        InputError: there is no such version or it lacks the backend.
        StoreError: the version does not load.
    """
    version = (store or Store()).get(reference)
    predictor = Predictor.open(version.folder, backend=backend, model=str(version))
    predictor.version = version
    return predictor


def _answer(head: HeadSpec, found: NDArray[np.float64]) -> Answer:
    named = dict(zip(head.labels, found.tolist(), strict=True))
    if not head.multi_label:
        return Answer((head.labels[int(found.argmax())],), named)
    order = sorted((label for label in head.labels if named[label] >= THRESHOLD), key=lambda label: -named[label])
    return Answer(tuple(order), named)
