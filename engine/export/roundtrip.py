"""Round trip: does the exported model answer as the trained one? Asked in a fresh process, on rows kept for it.

    python -m engine.export.roundtrip VERSION_FOLDER < PROBES

reads a JSON list [text, pair] a line, and writes the logits as .npz, an array a head, of all texts one after the other.
It loads ONNX Runtime and no torch: that takes a tenth of the time.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.data.rows import Row
from engine.errors import ExportError

if TYPE_CHECKING:
    from engine.predictor import Predictor
    from engine.tasks.heads import HeadSpec
    from engine.tasks.kinds import Output


class LostTooMuch(ExportError):
    """The export answers, but worse than the bound allows."""


@dataclass(frozen=True)
class Loss:
    """Quality of one head before and after the export, and the largest difference of a logit."""

    head: str
    metric: str
    torch: float
    onnx: float
    largest_difference: float
    fp32_layers: tuple[str, ...] = ()
    """Layers that int8 left out (see `mixed`)."""

    @property
    def lost(self) -> float:
        return self.torch - self.onnx

    def __str__(self) -> str:
        return (
            f"{self.head}: {self.metric} {self.torch:.4f} in torch, {self.onnx:.4f} exported "
            f"(loses {self.lost:.4f}; a logit differs by up to {self.largest_difference:.3f})"
        )


def verify(folder: Path, probes: Sequence[Row], trained: Predictor, *, max_quality_loss: float) -> list[Loss]:
    """Ask `folder`'s exported model in a fresh process and compare.

    Args:
        trained: the stored torch model.

    Raises:
        LostTooMuch: a head loses more of its main figure than allowed; with the figures.
        ExportError: the export does not load.
    """
    from engine.evaluate import held_out

    said = held_out.said(trained, probes)
    found = losses(trained, probes, said, exported(folder, probes, said))
    if any(loss.lost > max_quality_loss for loss in found):
        told = "; ".join(map(str, found))
        raise LostTooMuch(
            f"the export loses more than export.max_quality_loss = {max_quality_loss:g} on {len(probes)} rows: {told}. "
            "Set export.precision: fp32, or raise the bound"
        )
    return found


def exported(folder: Path, probes: Sequence[Row], trained: dict[str, list[Output]]) -> dict[str, list[Output]]:
    """What the exported model says in a process that knows nothing of the training."""
    lines = "".join(json.dumps([row.text, row.pair]) + "\n" for row in probes)
    command = [sys.executable, "-m", "engine.export.roundtrip", str(folder)]
    done = subprocess.run(command, input=lines.encode(), capture_output=True, check=False)
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise ExportError(f"the exported model does not load in a fresh process: {told}")
    heads = np.load(io.BytesIO(done.stdout)).values()
    said = {}
    for (head, wanted), logits in zip(trained.items(), heads, strict=True):
        ends = np.cumsum([0] + [output.logits.size for output in wanted])
        if logits.size != ends[-1]:
            raise ExportError(f"{head}: the exported model's logits are of another shape than the trained model's")
        parts = np.split(logits, ends[1:-1]) if wanted else []
        said[head] = [
            replace(output, logits=part.reshape(output.logits.shape))
            for output, part in zip(wanted, parts, strict=True)
        ]
    return said


def losses(
    model: Predictor, probes: Sequence[Row], full: dict[str, list[Output]], exported: dict[str, list[Output]]
) -> list[Loss]:
    """What the exported form loses, a head, from what both forms say of the probes."""
    found = []
    for head in model.spec.heads:
        (metric, before), (_, after) = (main_figure(model, head, probes, said) for said in (full, exported))
        pairs = zip(full[head.name], exported[head.name], strict=True)
        difference = max(
            (float(np.abs(one.logits - other.logits).max(initial=0.0)) for one, other in pairs), default=0.0
        )
        found.append(Loss(head.name, metric, before, after, difference))
    return found


def main_figure(
    model: Predictor, head: HeadSpec, rows: Sequence[Row], said: dict[str, list[Output]]
) -> tuple[str, float]:
    """Name and value of the head's main figure on the rows that answer it; 0 where none does."""
    from engine.tasks import kinds

    numbers, kind = kinds.answered(head, rows), kinds.of(head.kind)
    chosen = [said[head.name][number] for number in numbers]
    if not chosen:
        return kind.main, 0.0
    metric = kind.metrics(head, [rows[number] for number in numbers], chosen, model.temperatures[head.name])[kind.main]
    return kind.main, metric(np.arange(len(chosen)))


if __name__ == "__main__":
    from engine.predictor import Predictor

    asked = [text if pair is None else (text, pair) for text, pair in map(json.loads, sys.stdin)]
    outputs = Predictor.open(Path(sys.argv[1]), backend="onnx").outputs(asked)
    np.savez(sys.stdout.buffer, *[np.hstack([[], *(one.logits.ravel() for one in said)]) for said in outputs.values()])
