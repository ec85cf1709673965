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
from typing import TYPE_CHECKING, Any

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


def verify(folder: Path, probes: Sequence[Row], *, max_quality_loss: float) -> list[Loss]:
    """Compare `folder`'s torch and ONNX models on the probes, in a fresh process.

    Raises:
        LostTooMuch: a head loses more of its main figure than allowed; with the figures.
        ExportError: the export does not load.
    """
    lines = "".join(json.dumps(vars(row) | {"labels": dict(row.labels)}) + "\n" for row in probes)
    command = [sys.executable, "-m", "engine.export.roundtrip", str(folder)]
    done = subprocess.run(command, input=lines, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise ExportError(f"the exported model does not load in a fresh process: {done.stderr.strip()[-500:]}")
    found = [Loss(**values) for values in json.loads(done.stdout)]
    if any(loss.lost > max_quality_loss for loss in found):
        told = "; ".join(map(str, found))
        raise LostTooMuch(
            f"the export loses more than export.max_quality_loss = {max_quality_loss:g} on {len(probes)} rows: {told}. "
            "Set export.precision: fp32, or raise the bound"
        )
    return found


def compare(folder: Path, probes: Sequence[Row]) -> list[Loss]:
    """Main figures of both forms on the labelled probes."""
    from engine.evaluate import held_out
    from engine.predictor import Predictor

    torch, onnx = Predictor.open(folder, backend="torch"), Predictor.open(folder, backend="onnx")
    return losses(onnx, probes, held_out.said(torch, probes), held_out.said(onnx, probes))


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


def _row(values: dict[str, Any]) -> Row:
    """A row as it went in: JSON knows lists only, where a row has tuples."""
    labels = {name: _tuples(label) for name, label in values.pop("labels").items()}
    return Row(labels=labels, **values)


def _tuples(label: Any) -> Any:
    return tuple(map(_tuples, label)) if isinstance(label, list) else label


if __name__ == "__main__":
    found = compare(Path(sys.argv[1]), [_row(json.loads(line)) for line in sys.stdin])
    print(json.dumps([vars(loss) for loss in found]))
