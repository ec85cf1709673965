"""Reference: what a version's answers look like on rows that it did not learn from, and how right they are.

Made once a version, from its calibration and test rows by the form that answers; kept in
`$KEEL_HOME/drift/NAME/N.json`, beside the store, for versions never change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import resources
from engine.data.files import write_json
from engine.data.rows import Row
from engine.drift.sketch import EMBEDDING, Sketch
from engine.evaluate.calibration import ece
from engine.predictor import Prediction, Predictor, Text
from engine.store import Version


@dataclass(frozen=True)
class Quality:
    """How a single-label head did on the test rows."""

    rows: int
    right: int
    ece: float


@dataclass(frozen=True)
class Reference:
    sketch: Sketch
    quality: Mapping[str, Quality] = field(default_factory=dict)
    """Head -> on the test rows."""


def reference(version: Version, *, vectors: bool = False) -> Reference:
    """The version's reference; it is made at the first call, which takes as long as its rows do to be answered.

    Args:
        vectors: with those of the texts, by the version's encoder.

    Raises:
        InputError: there is none yet, and the version's data are no longer there to make it.
    """
    path = resources.home() / "drift" / version.name / f"{version.number}.json"
    found = _read(path, version)
    if found is None or (vectors and not found.sketch.bins(EMBEDDING)):
        found = _made(version, vectors=vectors)
        path.parent.mkdir(parents=True, exist_ok=True)
        cells: dict[str, dict[str, float]] = {}
        for (measure, bin_), count in sorted(found.sketch.cells.items()):
            cells.setdefault(measure, {})[bin_] = count
        quality = {head: vars(one) for head, one in found.quality.items()}
        write_json(path, {"model": str(version), "sha256": version.sha256(), "counts": cells, "quality": quality})
    return found


def embedded(version: Version, texts: Sequence[Text]) -> NDArray[np.float32]:
    """Unit vectors of texts (of pairs, the first ones) by a version's own encoder."""
    from engine.embedder import Embedder

    return Embedder(f"store:{version}").embed([text if isinstance(text, str) else text[0] for text in texts])


def _read(path: Path, version: Version) -> Reference | None:
    """None where there is none, or it is of another version of the same number."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if values["sha256"] != version.sha256():
        return None
    cells = {(measure, bin_): count for measure, bins in values["counts"].items() for bin_, count in bins.items()}
    return Reference(Sketch(cells), {head: Quality(**one) for head, one in values["quality"].items()})


def _made(version: Version, *, vectors: bool) -> Reference:
    from engine.evaluate.own_rows import own_rows

    parts = own_rows(version)
    rows = [*parts.test, *parts.calibration]
    texts: list[Text] = [row.text if row.pair is None else (row.text, row.pair) for row in rows]
    predictor = Predictor.open(version.folder, model=str(version))
    predictions = predictor.predict(texts)
    apart = vectors and predictor.spec.task != "embed"
    sketch = Sketch.of(predictions, texts, embedded(version, texts) if apart else None)
    heads = [head.name for head in predictor.spec.heads if head.kind == "single"]
    tested = len(parts.test)
    quality = {head: _quality(head, parts.test, predictions[:tested]) for head in heads}
    return Reference(sketch, {head: one for head, one in quality.items() if one.rows})


def _quality(head: str, rows: Sequence[Row], predictions: Sequence[Prediction]) -> Quality:
    known = [
        (row.labels[head], said[head]) for row, said in zip(rows, predictions, strict=True) if row.labels.get(head)
    ]
    right = np.array([answer.label == label for label, answer in known], dtype=bool)
    sure = np.array([max(answer.probabilities.values()) for _, answer in known])
    return Quality(len(known), int(right.sum()), ece(sure, right) if known else 0.0)
