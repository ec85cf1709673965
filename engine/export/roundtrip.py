"""Round trip: does the exported model answer as the trained one? Asked in a fresh process, on rows kept for it.

    python -m engine.export.roundtrip VERSION_FOLDER PROBES

prints one JSON document with the main figure of both forms a head and what the export loses.
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

from engine.data.rows import Row
from engine.errors import ExportError


@dataclass(frozen=True)
class Loss:
    """Quality of one head before and after the export, and the largest difference of a logit."""

    head: str
    metric: str
    torch: float
    onnx: float
    largest_difference: float

    @property
    def lost(self) -> float:
        return self.torch - self.onnx

    def __str__(self) -> str:
        return (
            f"{self.head}: {self.metric} {self.torch:.4f} in torch, {self.onnx:.4f} exported "
            f"(loses {self.lost:.4f}; a logit differs by up to {self.largest_difference:.3f})"
        )


def verify(folder: Path, probes: Sequence[Row], *, max_quality_loss: float) -> list[Loss]:
    """Compare `folder`'s torch and ONNX models on the probes, in a fresh process.

    Raises:
        ExportError: a head loses more of its main figure than allowed, or the export does not load; with the figures.
    """
    lines = "".join(json.dumps(vars(row) | {"labels": dict(row.labels)}) + "\n" for row in probes)
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


def compare(folder: Path, probes: Sequence[Row]) -> list[Loss]:
    """Main figures of both forms on the labelled probes."""
    from engine.evaluate import held_out
    from engine.predictor import Predictor
    from engine.tasks import kinds

    forms = {backend: Predictor.open(folder, backend=backend) for backend in ("torch", "onnx")}
    said = {backend: held_out.said(form, probes) for backend, form in forms.items()}
    losses = []
    for head in forms["onnx"].spec.heads:
        numbers, kind = kinds.answered(head, probes), kinds.of(head.kind)
        rows = [probes[number] for number in numbers]
        scores = {}
        for backend, found in said.items():
            chosen = [found[head.name][number] for number in numbers]
            temperature = forms[backend].temperatures[head.name]
            metric = kind.metrics(head, rows, chosen, temperature)[kind.main]
            scores[backend] = metric(np.arange(len(rows))) if rows else 0.0
        pairs = zip(said["torch"][head.name], said["onnx"][head.name], strict=True)
        difference = max(
            (float(np.abs(one.logits - other.logits).max(initial=0.0)) for one, other in pairs), default=0.0
        )
        losses.append(Loss(head.name, kind.main, scores["torch"], scores["onnx"], difference))
    return losses


def _row(values: dict[str, Any]) -> Row:
    """A row as it went in: JSON knows lists only, where a row has tuples."""
    labels = {name: _tuples(label) for name, label in values.pop("labels").items()}
    return Row(labels=labels, **values)


def _tuples(label: Any) -> Any:
    return tuple(map(_tuples, label)) if isinstance(label, list) else label


if __name__ == "__main__":
    found = compare(Path(sys.argv[1]), [_row(json.loads(line)) for line in sys.stdin])
    print(json.dumps([vars(loss) for loss in found]))
