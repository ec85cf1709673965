"""Round trip: does the exported model answer as the trained one? Asked in a fresh process, on rows kept for it.

    python -m engine.export.roundtrip VERSION_FOLDER PROBES

prints one JSON document with the macro F1 of both a head and what the export loses.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.sources import Row
from engine.errors import ExportError


@dataclass(frozen=True)
class Loss:
    """Quality of one head before and after the export, and the largest difference of a probability."""

    head: str
    torch_macro_f1: float
    onnx_macro_f1: float
    largest_difference: float

    @property
    def lost(self) -> float:
        return self.torch_macro_f1 - self.onnx_macro_f1

    def __str__(self) -> str:
        return (
            f"{self.head}: macro F1 {self.torch_macro_f1:.4f} in torch, {self.onnx_macro_f1:.4f} exported "
            f"(loses {self.lost:.4f}; a probability differs by up to {self.largest_difference:.3f})"
        )


def verify(folder: Path, probes: Sequence[Row], *, max_quality_loss: float) -> list[Loss]:
    """Compare `folder`'s torch and ONNX models on the probes, in a fresh process.

    Raises:
        ExportError: a head loses more macro F1 than allowed, or the export cannot be loaded; with the figures.
    """
    lines = "".join(json.dumps({"text": row.text, "labels": dict(row.labels)}) + "\n" for row in probes)
    command = [sys.executable, "-m", "engine.export.roundtrip", str(folder)]
    done = subprocess.run(command, input=lines, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise ExportError(f"the exported model does not load in a fresh process: {done.stderr.strip()[-500:]}")
    losses = [Loss(**values) for values in json.loads(done.stdout)]
    if any(loss.lost > max_quality_loss for loss in losses):
        told = "; ".join(map(str, losses))
        raise ExportError(
            f"the export loses more than export.max_quality_loss = {max_quality_loss:g} on {len(probes)} rows: {told}. "
            "Set export.precision: fp32, or raise the bound"
        )
    return losses


def compare(folder: Path, probes: Sequence[dict[str, Any]]) -> list[Loss]:
    """Macro F1 of both forms on the labelled probes."""
    from engine.evaluate import truth
    from engine.predictor import Predictor

    texts = [probe["text"] for probe in probes]
    answers = {backend: Predictor.open(folder, backend=backend).probabilities(texts) for backend in ("torch", "onnx")}
    losses = []
    for head in Predictor.open(folder, backend="onnx").spec.heads:
        rows, labels = truth.of_head(head, [probe["labels"].get(head.name) for probe in probes])
        scores = {}
        for backend, found in answers.items():
            metrics = truth.metrics(head, labels, found[head.name][rows])
            scores[backend] = metrics["macro_f1"](np.arange(len(rows))) if len(rows) else 0.0
        difference = float(np.abs(answers["torch"][head.name] - answers["onnx"][head.name]).max(initial=0.0))
        losses.append(Loss(head.name, scores["torch"], scores["onnx"], difference))
    return losses


if __name__ == "__main__":
    found = compare(Path(sys.argv[1]), [json.loads(line) for line in sys.stdin])
    print(json.dumps([vars(loss) for loss in found]))
