"""Mixed precision: int8, with the layers that rounding hurts most left in fp32 until the export is within its bound.

The search is greedy. Each layer is left out alone, and the layers are ranked by how much nearer that brings the logits
to the unrounded ones; then the first, the first two, ... are left out together. A model within its bound pays nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.data.rows import Row
from engine.errors import ExportError
from engine.evaluate import held_out
from engine.export import onnx, roundtrip
from engine.export.roundtrip import Loss, LostTooMuch
from engine.predictor import Predictor
from engine.recipe import Export
from engine.tasks.encoder import EncoderModel
from engine.tasks.encoding import Rows
from engine.tasks.kinds import Output

RANKED_ON = 96
"""Probes by whose logits layers are ranked: logits tell far sooner than labels do."""
MOST = 0.5
"""Share of the layers that may stay fp32. Past that the export is hardly smaller or faster than fp32 all through."""


def export(model: EncoderModel, folder: Path, sample: Rows, probes: Sequence[Row], settings: Export) -> list[Loss]:
    """Write `folder/onnx/model.onnx` and ask it in a fresh process; what it loses, and the layers that stayed fp32.

    Args:
        folder: of the version in the making, its `model/` and `calibration.json` written.
        sample: rows like those to come (see `onnx.export`).

    Raises:
        ExportError: it loses more than allowed, with half of the layers in fp32 too.
    """
    trained, most = Predictor.open(folder, backend="torch"), settings.max_quality_loss
    if settings.precision != "int8":
        onnx.export(model, folder / "onnx", sample, precision=settings.precision)
        return roundtrip.verify(folder, probes, trained, max_quality_loss=most)
    with tempfile.TemporaryDirectory() as place:
        full = onnx.full(model, Path(place), sample)
        exported = folder / "onnx" / onnx.FILE
        exported.parent.mkdir(exist_ok=True)
        onnx.quantize(full, exported)
        try:
            return roundtrip.verify(folder, probes, trained, max_quality_loss=most)
        except LostTooMuch as all_int8:
            left = leave_out(full, folder, probes, max_quality_loss=most)
            if not left:
                raise ExportError(f"{all_int8} (tried with up to half of the layers in fp32 as well)") from None
    losses = roundtrip.verify(folder, probes, trained, max_quality_loss=most)
    return [replace(loss, fp32_layers=left) for loss in losses]


def leave_out(full: Path, folder: Path, probes: Sequence[Row], *, max_quality_loss: float) -> tuple[str, ...]:
    """Replace `folder/onnx/model.onnx` by an int8 form of `full` within the bound.

    Returns:
        The layers left in fp32, from below; none where nothing helped.
    """
    exported = folder / "onnx" / onnx.FILE
    shutil.copyfile(full, exported)
    unrounded = Predictor.open(folder, backend="onnx")
    whole = held_out.said(unrounded, probes)
    few = list(probes[:: max(1, len(probes) // RANKED_ON)])[:RANKED_ON]
    aim = held_out.said(unrounded, few)

    def said(leave: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Output]]:
        onnx.quantize(full, exported, leave=leave)
        return held_out.said(Predictor.open(folder, backend="onnx"), rows)

    names = list(onnx.layers(full))
    ranked = sorted(names, key=lambda name: _distance(said([name], few), aim))
    for count in range(1, int(MOST * len(names)) + 1):
        losses = roundtrip.losses(unrounded, probes, whole, said(ranked[:count], probes))
        if all(loss.lost <= max_quality_loss for loss in losses):
            return tuple(name for name in names if name in ranked[:count])
    return ()


def _distance(outputs: dict[str, list[Output]], aim: dict[str, list[Output]]) -> float:
    """Squared distance of the logits in units of their own variance, summed over the heads."""
    total = 0.0
    for head, wanted in aim.items():
        exact = np.concatenate([output.logits.ravel() for output in wanted])
        found = np.concatenate([output.logits.ravel() for output in outputs[head]])
        total += float(((found - exact) ** 2).mean() / max(float(exact.var()), 1e-12))
    return total
