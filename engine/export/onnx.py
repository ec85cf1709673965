"""Export to ONNX, and to int8 weights with one scale an output channel."""

from __future__ import annotations

import contextlib
import copy
import logging
import re
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.data.batches import TokenBudgetSampler
from engine.export.smooth import smooth
from engine.tasks.encoder import EncoderModel
from engine.tasks.encoding import Collator, Rows
from engine.tasks.heads import EMBEDDING

FILE = "model.onnx"
SMOOTHED_ON = 256
_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter writes the modules that a node came from."""


class _Heads(nn.Module):
    """The classifier as a graph: token ids and mask in, logits a head out."""

    def __init__(self, model: EncoderModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        outputs = self.model(input_ids, attention_mask)
        return tuple(outputs[name] for name in self.names)

    @property
    def names(self) -> list[str]:
        """Of the outputs, in order."""
        heads = [f"logits_{head.name}" for head in self.model.specs]
        return heads if self.model.vectors is None else [*heads, EMBEDDING]


class _Pooled(_Heads):
    """The encoder as a graph: token ids and mask in, the mean over the tokens out."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        return (self.model.embed(input_ids, attention_mask),)

    @property
    def names(self) -> list[str]:
        return [EMBEDDING]


def export(model: EncoderModel, folder: Path, sample: Rows, *, precision: str) -> Path:
    """Write `folder/model.onnx`: inputs `input_ids`, `attention_mask` (rows, tokens), outputs `logits_<head>`,
    and `sentence_embedding` where the model repeats another encoder's vectors.

    Args:
        sample: rows like those to come (of train), on which int8 finds the outliers to smooth.
        precision: "fp32", or "int8": dynamic quantization, weights per channel (per tensor loses too much).
    """
    path = full(model, folder, sample if precision == "int8" else None)
    if precision == "int8":
        quantize(path)
    return path


def full(model: EncoderModel, folder: Path, smoothed_on: Rows | None = None) -> Path:
    """Write `folder/model.onnx` in fp32, its outliers moved into the weights if it is to become int8."""
    model = copy.deepcopy(model).cpu().eval()
    if smoothed_on is not None:
        collate = Collator(smoothed_on.pad_token_id)
        batches = [
            collate([{"input_ids": smoothed_on.input_ids[row]} for row in batch])
            for batch in TokenBudgetSampler(smoothed_on.lengths, 2048, seed=None)
        ]
        smooth(model.encoder, batches)
    return _write(_Heads(model), folder)


def export_encoder(encoder: Any, folder: Path) -> Path:
    """Write `folder/model.onnx` in float32: inputs as above, output `sentence_embedding` of shape (rows, width)."""
    return _write(_Pooled(EncoderModel(encoder, [])), folder)


def _write(graph: _Heads, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    graph = graph.cpu().eval()
    # The plain form of attention makes the smaller graph: fused attention brings guards that ONNX Runtime runs slower.
    graph.model.encoder.set_attn_implementation("eager")
    inputs = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    axes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("tokens", max=512)}
    with _quiet("torch.onnx", "onnxscript", "onnx_ir"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            inputs,
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=graph.names,
            dynamic_shapes=(axes, axes),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return path


def quantize(path: Path, to: Path | None = None, *, leave: Collection[str] = ()) -> None:
    """Write the model's int8 form to `to`; without it, in the model's own place.

    Args:
        leave: layers, by the names that `layers` gives, that stay in fp32.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source = path
    if to is None:
        source, to = path.rename(path.with_name("full.onnx")), path
    left = [node for layer, nodes in layers(source).items() if layer in leave for node in nodes]
    # Only MatMul: the heads are Gemm, too small to gain by it and the place where rounding shows most.
    # reduce_range: without VNNI, pairs of 8-bit products saturate their 16-bit sum.
    with _quiet(""):
        quantize_dynamic(
            str(source),
            str(to),
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gather"],
            nodes_to_exclude=left,
        )
    if source != path:
        source.unlink()


def layers(path: Path) -> dict[str, list[str]]:
    """Layer -> the nodes of it that int8 would round: "embeddings", "layer 0", "layer 1" and so on, from below."""
    import onnx

    found: dict[str, list[str]] = {}
    graph = onnx.load(path, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in weights:
            found.setdefault("embeddings", []).append(node.name)
        elif node.op_type == "MatMul":
            scopes = next((pair.value for pair in node.metadata_props if pair.key == _SCOPES), "")
            number = re.search(r"\.(\d+)\b", scopes)
            found.setdefault(f"layer {number[1]}" if number else "other", []).append(node.name)
    return found


@contextlib.contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """The loggers say nothing below an error meanwhile."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
