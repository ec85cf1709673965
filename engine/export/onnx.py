"""Export to ONNX, and to int8 weights with one scale an output channel."""

from __future__ import annotations

import copy
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.data.batches import TokenBudgetSampler
from engine.export.smooth import smooth
from engine.tasks.encoder import EncoderModel
from engine.tasks.encoding import Collator, Rows

FILE = "model.onnx"
SMOOTHED_ON = 256


class _Heads(nn.Module):
    """The classifier as a graph: token ids and mask in, logits a head out."""

    def __init__(self, model: EncoderModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        outputs = self.model(input_ids, attention_mask)
        return tuple(outputs[f"logits_{head.name}"] for head in self.model.specs)


class _Pooled(_Heads):
    """The encoder as a graph: token ids and mask in, the mean over the tokens out."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        return (self.model.embed(input_ids, attention_mask),)


def export(model: EncoderModel, folder: Path, sample: Rows, *, precision: str) -> Path:
    """Write `folder/model.onnx`: inputs `input_ids`, `attention_mask` (rows, tokens), outputs `logits_<head>`.

    Args:
        sample: rows like those to come (of train), on which int8 finds the outliers to smooth.
        precision: "fp32", or "int8": dynamic quantization, weights per channel (per tensor loses too much).
    """
    model = copy.deepcopy(model).cpu().eval()
    if precision == "int8":
        collate = Collator(sample.pad_token_id)
        batches = [
            collate([{"input_ids": sample.input_ids[row]} for row in batch])
            for batch in TokenBudgetSampler(sample.lengths, 2048, seed=None)
        ]
        smooth(model.encoder, batches)
    path = _write(_Heads(model), [f"logits_{head.name}" for head in model.specs], folder)
    if precision == "int8":
        quantize(path)
    return path


def export_encoder(encoder: Any, folder: Path) -> Path:
    """Write `folder/model.onnx` in float32: inputs as above, output `sentence_embedding` of shape (rows, width)."""
    return _write(_Pooled(EncoderModel(encoder, [])), ["sentence_embedding"], folder)


def _write(graph: _Heads, outputs: list[str], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    graph = graph.cpu().eval()
    # The plain form of attention makes the smaller graph: fused attention brings guards that ONNX Runtime runs slower.
    graph.model.encoder.set_attn_implementation("eager")
    inputs = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    axes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("tokens", max=512)}
    noisy = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in noisy]
    for logger in noisy:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                inputs,
                str(path),
                input_names=["input_ids", "attention_mask"],
                output_names=outputs,
                dynamic_shapes=(axes, axes),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)
    return path


def quantize(path: Path) -> None:
    """Replace the model by its int8 form."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    full = path.with_name("full.onnx")
    path.rename(full)
    logging.getLogger().setLevel(logging.ERROR)
    # Only MatMul: the heads are Gemm, too small to gain by it and the place where rounding shows most.
    # reduce_range: without VNNI, pairs of 8-bit products saturate their 16-bit sum.
    quantize_dynamic(
        str(full),
        str(path),
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Gather"],
    )
    full.unlink()
