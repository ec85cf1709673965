"""Predictor: a stored version that answers texts, calibrated, typed and in order.

A result never depends on its neighbours: dynamic int8 shares one activation scale over a batch, so on CPUs every text
is a call of its own, one single-threaded call a core at a time (bitwise stable, and faster than sorted batches).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, StoreError
from engine.export import choice, forms
from engine.export.forms import Form
from engine.store import Version
from engine.tasks import kinds
from engine.tasks.heads import EMBEDDING, ModelSpec
from engine.tasks.kinds import Output, without_prefix
from engine.tasks.retrieval import unit

Backend = Literal["auto"] | Form
Text = str | tuple[str, str]
"""A text, or a pair of them for models of pairs: (question, passage), (query, text), (headline, company)."""
Arrays = dict[str, NDArray[np.float64]]
PICKLES = frozenset((".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"))
"""Files that may run code as they are read; a model is stored as safetensors and ONNX, which cannot."""
CHUNK = 256
"""Texts handed to the threads at once: bounds what waits in memory when the input is a stream."""


@dataclass(frozen=True)
class Prediction:
    heads: dict[str, Any]
    """Head -> its answer: `labels.Answer`, `regression.Number`, `tag.Entities`, `extract.Extracted`, `rank.Relevance`
    or `retrieval.Embedded`."""
    model: str
    """Name and version that answered, "finance-news@3"."""
    backend: str
    vector: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    """Unit vector of the text, shape (width,), of a model whose recipe asks for `task.vectors`."""

    def __getitem__(self, head: str) -> Any:
        return self.heads[head]

    def as_dict(self) -> dict[str, Any]:
        """Head -> its answer, as JSON has it."""
        return {head: asdict(answer) for head, answer in self.heads.items()}


class Session(Protocol):
    """One loaded model: token ids of one text in, the outputs for it out, of shape (width,) or (tokens, width)."""

    def __call__(self, input_ids: list[int]) -> list[NDArray[np.float64]]: ...


@dataclass(frozen=True)
class Tokens:
    """One text or pair as a model reads it, with the characters and part of each token (see `kinds.Output`)."""

    ids: list[int]
    offsets: NDArray[np.int64] = field(repr=False)
    parts: NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True)
class Said:
    """A session's outputs for one text, with the characters and part of each token."""

    outputs: list[NDArray[np.float64]]
    offsets: NDArray[np.int64] = field(repr=False)
    parts: NDArray[np.int64] = field(repr=False)

    def output(self, place: int) -> Output:
        logits = self.outputs[place]
        return Output(logits) if logits.ndim == 1 else Output(logits, self.offsets, self.parts)


class TextSession:
    """Texts in, a session's outputs out, in order, one text a call and as many calls at a time as there are cores."""

    def __init__(
        self,
        session: Session,
        tokenizer: Path,
        *,
        prefix: str,
        max_length: int,
        cut: str = "longest_first",
        pairs: bool = False,
    ) -> None:
        from tokenizers import Tokenizer

        self._session = session
        self._prefix = prefix
        self._pairs = pairs
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length, strategy=cut)
        self._threads = os.cpu_count() or 1

    def stream(self, texts: Iterable[Text]) -> Iterator[Said]:
        from concurrent.futures import ThreadPoolExecutor
        from itertools import islice

        waiting = iter(texts)
        with ThreadPoolExecutor(self._threads) as pool:
            while chunk := list(islice(waiting, CHUNK)):
                # A single text is answered in the caller's thread: torch sets itself up anew in every new thread.
                yield from pool.map(self.one, chunk) if len(chunk) > 1 else map(self.one, chunk)

    def one(self, text: Text) -> Said:
        """The outputs for one text or pair, in the caller's thread."""
        tokens = self.tokens(text)
        return Said(self._session(tokens.ids), tokens.offsets, tokens.parts)

    def tokens(self, text: Text) -> Tokens:
        """What the session is given for a text or pair."""
        if self._pairs and isinstance(text, str):
            raise InputError("this model reads pairs of texts; give (text, pair), or --pair on the command line")
        first, second = (text, None) if isinstance(text, str) else _pair(text)
        found = self._tokenizer.encode(self._prefix + _clean(first), None if second is None else _clean(second))
        ids = found.ids or [0]  # a tokenizer without special tokens gives none for an empty text
        parts = [-1 if part is None else part for part in found.sequence_ids] or [-1]
        offsets, placed = without_prefix(found.offsets or [(0, 0)], parts, len(self._prefix))
        return Tokens(ids, offsets, placed)


class ApartSession(TextSession):
    """As TextSession, but of a pair each text is read by itself: the output is both vectors, shape (2, width)."""

    def __init__(self, session: Session, tokenizer: Path, *, prefix: str, pair_prefix: str, max_length: int) -> None:
        super().__init__(session, tokenizer, prefix=prefix, max_length=max_length)
        self.second = TextSession(session, tokenizer, prefix=pair_prefix, max_length=max_length)

    def one(self, text: Text) -> Said:
        if isinstance(text, str):
            return super().one(text)
        first, second = _pair(text)
        said = super().one(first)
        both = np.stack([said.outputs[0], self.second.one(second).outputs[0]])
        return Said([both], said.offsets, said.parts)


class VerbalizedSession(TextSession):
    """As TextSession, for a chat model that is asked about each text."""

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        from engine.tasks.verbalizer import Prompt

        super().__init__(_Torch(folder), folder / "tokenizer.json", prefix="", max_length=spec.max_length)
        self._prompt, self._max_length = Prompt.read(folder), spec.max_length

    def one(self, text: Text) -> Said:
        if not isinstance(text, str):
            raise InputError(f"predict takes texts for this model; got {type(text).__name__}")
        outputs = self._session(self._prompt.ids(_clean(text), self._max_length))
        return Said(outputs, np.empty((0, 2), np.int64), np.empty(0, np.int64))


def _pair(text: Text) -> tuple[str, str]:
    if isinstance(text, tuple | list) and len(text) == 2 and all(isinstance(part, str) for part in text):
        return text[0], text[1]
    raise InputError(f"predict takes texts, or pairs of them; got {type(text).__name__}")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def form(folder: Path, backend: Backend, model: str) -> tuple[Form, Path]:
    """The backend that is to answer, and where its files lie.

    Raises:
        InputError: the version is not exported to it.
        StoreError: the version holds what may run code as it is read.
    """
    chosen = choice.automatic(folder) if backend == "auto" else backend
    place = forms.locate(folder, chosen)
    if place is None and chosen == "onnx":
        raise InputError(
            f"{model or folder}: has no ONNX export; ask for backend torch, or train with export.format: onnx"
        )
    if place is None:
        raise InputError(
            f"{model or folder}: not made here as {chosen}; run: engine export convert {model or 'NAME'} {chosen}"
        )
    if found := sorted(path.name for path in (folder / "model").rglob("*") if path.suffix in PICKLES):
        raise StoreError(f"{model or folder}: holds {found[0]}, which may run code as it is read; it is not loaded")
    return chosen, place


class Predictor:
    """Answers texts by one stored version. Made by `opening.load`, or `Predictor.open` for a folder."""

    def __init__(
        self, texts: TextSession, spec: ModelSpec, temperatures: dict[str, float], *, model: str, backend: str
    ) -> None:
        self.spec = spec
        self.model = model
        self.backend = backend
        self.version: Version | None = None
        self.texts = texts
        self.temperatures = temperatures

    @classmethod
    def open(cls, folder: Path, *, backend: Backend = "auto", model: str = "") -> Predictor:
        """The model in a version's folder.

        Raises:
            InputError: the version is not exported to the backend, or its library is not installed.
            StoreError: a file of the version is missing or unreadable.
        """
        chosen, place = form(folder, backend, model)
        try:
            spec = ModelSpec.read(folder / "model")
            if spec.task == "generate":
                raise InputError(f"{model or folder}: answers in words; engine.load opens it")
            temperatures = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))["temperatures"]
            if spec.task == "choose":
                texts: TextSession = VerbalizedSession(folder / "model", spec)
            else:
                texts = _text_session(_session(chosen, place), spec, folder / "model" / "tokenizer.json")
        except InputError:
            raise
        except Exception as fault:
            remedy = "see: engine models verify"
            if not place.is_relative_to(folder):
                remedy = f"remove {place.parent} and run: engine export convert {model or 'NAME'} {chosen}"
            raise StoreError(f"{model or folder}: does not load ({fault}); {remedy}") from None
        return cls(texts, spec, temperatures, model=model or folder.name, backend=chosen)

    def predict(self, texts: Sequence[Text]) -> list[Prediction]:
        """One result a text, in order."""
        return list(self.stream(texts))

    def stream(self, texts: Iterable[Text]) -> Iterator[Prediction]:
        """As `predict`, for texts that come one after the other."""
        asked: list[Text] = []

        def remembered() -> Iterator[Text]:
            for text in texts:
                asked.append(text)
                yield text

        for said in self.texts.stream(remembered()):
            yield self._answered(asked.pop(0), said)

    def one(self, text: Text) -> Prediction:
        """The result for one text, the same to the bit, in the caller's thread: for servers, which have threads."""
        return self._answered(text, self.texts.one(text))

    def _answered(self, text: Text, said: Said) -> Prediction:
        first, second = (text, None) if isinstance(text, str) else text
        answers = {
            head.name: kinds.of(head.kind).answer(
                head, said.output(place), self.temperatures[head.name], _clean(first), second
            )
            for place, head in enumerate(self.spec.heads)
        }
        vector = None
        if self.spec.vectors:
            vector = unit(said.outputs[len(self.spec.heads)]).astype(np.float32)
        return Prediction(answers, self.model, self.backend, vector)

    def outputs(self, texts: Sequence[Text]) -> dict[str, list[Output]]:
        """What the model says of each text before calibration and decoding, a head."""
        found = list(self.texts.stream(texts))
        return {head.name: [said.output(place) for said in found] for place, head in enumerate(self.spec.heads)}

    def logits(self, texts: Sequence[Text]) -> Arrays:
        """Uncalibrated logits of the heads over the text, each of shape (texts, width)."""
        return {
            head.name: np.array([one.logits for one in found]).reshape(len(texts), head.width)
            for head, found in zip(self.spec.heads, self.outputs(texts).values(), strict=True)
            if head.kind not in ("tags", "span", "vector")
        }

    def probabilities(self, texts: Sequence[Text]) -> Arrays:
        """Calibrated probabilities of the label heads, each of shape (texts, labels)."""
        from engine.evaluate.calibration import probabilities

        found = self.logits(texts)
        return {
            head.name: probabilities(found[head.name], self.temperatures[head.name], multi_label=head.multi_label)
            for head in self.spec.heads
            if head.kind in ("single", "multi")
        }


class OnnxSession:
    """A single-threaded ONNX Runtime session on the CPU."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The fused kernel of sum and layer norm goes number by number: apart, they answer up to 1.4 times as fast.
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
        )

    def __call__(self, input_ids: list[int]) -> list[NDArray[np.float64]]:
        ids = np.array([input_ids], dtype=np.int64)
        outputs = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return [np.asarray(values[0], dtype=np.float64) for values in outputs]


class _Torch:
    def __init__(self, folder: Path) -> None:
        import torch

        from engine.tasks import bi_encoder, encoder, verbalizer

        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        spec = ModelSpec.read(folder)
        model: Any
        match spec.task:
            case "embed":
                model = bi_encoder.load(folder)
            case "choose":
                model = verbalizer.load(folder, spec.heads[0])
            case _:
                model = encoder.load(folder)
        self._model = model.to(self._device)

    def __call__(self, input_ids: list[int]) -> list[NDArray[np.float64]]:
        with self._torch.inference_mode():
            ids = self._torch.tensor([input_ids], device=self._device)
            outputs = self._model(ids, self._torch.ones_like(ids))
        names = [f"logits_{head.name}" for head in self._model.specs]
        return [outputs[name][0].cpu().double().numpy() for name in (*names, EMBEDDING) if name in outputs]


def _session(form: Form, place: Path) -> Session:
    if form == "torch":
        return _Torch(place)
    if form.startswith("openvino"):
        from engine.export.openvino import OpenVinoSession

        return OpenVinoSession(place)
    return OnnxSession(place)


def _text_session(session: Session, spec: ModelSpec, tokenizer: Path) -> TextSession:
    if spec.task == "embed":
        return ApartSession(
            session, tokenizer, prefix=spec.prefix, pair_prefix=spec.pair_prefix, max_length=spec.max_length
        )
    cut = "only_second" if spec.task == "extract" else "longest_first"
    return TextSession(session, tokenizer, prefix=spec.prefix, max_length=spec.max_length, cut=cut, pairs=spec.pairs)
