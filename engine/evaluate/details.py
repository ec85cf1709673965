"""Details: what lies behind a head's figures, as counts and shares without a text: labels, confusions, calibration,
slices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import Row
from engine.evaluate.calibration import BINS, probabilities
from engine.evaluate.intervals import Metric, bootstrap
from engine.evaluate.metrics import THRESHOLD
from engine.tasks import kinds
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Output, arrays

FILE = "evaluation.json"
LEAST_ROWS = 10
"""Rows of the smallest slice that is told of: a figure over fewer says nothing."""


@dataclass(frozen=True)
class Label:
    """How one label, or entity type, was answered. Counts are sums over the seeds."""

    label: str
    rows: int
    """Where it is true."""
    given: int
    """Where it was answered."""
    right: int

    @property
    def precision(self) -> float:
        return self.right / self.given if self.given else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.rows if self.rows else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, self.rows + self.given)


@dataclass(frozen=True)
class Bin:
    """Answers whose probability lies in one of 15 equal parts, those of the calibration error."""

    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Slice:
    """The head's main figure, the mean over the seeds, on some of the rows."""

    by: str
    """What the rows have in common: "length", "language"."""
    name: str
    rows: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Details:
    """Of one head."""

    metric: str
    """Its main figure."""
    seeds: int
    labels: list[Label] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)
    """Of a single-label head: rows by true label (first) and answer, in the order of `labels`, summed over seeds."""
    bins: list[Bin] = field(default_factory=list)
    """Of the top label's calibrated probability; for a multi-label head of every yes or no."""
    slices: list[Slice] = field(default_factory=list)


def details(
    head: HeadSpec,
    rows: Sequence[Row],
    outputs: Sequence[Sequence[Output]],
    temperatures: Sequence[float],
    metric: Metric,
    clusters: Sequence[object],
) -> Details:
    """Details of a head.

    Args:
        rows: those that have the head's label.
        outputs, temperatures: of each seed's model.
        metric: the head's main figure, the mean over the seeds.
        clusters: as in `intervals.bootstrap`.
    """
    counted = [_counted(head, rows, said, by) for said, by in zip(outputs, temperatures, strict=True)]
    labels = [
        Label(name, *(sum(int(one[2][part][place]) for one in counted) for part in range(3)))
        for place, name in enumerate(head.labels)
    ]
    confusion = sum(one[0] for one in counted) if head.kind == "single" else np.zeros((0, 0), int)
    bins = _bins(np.concatenate([one[1] for one in counted])) if head.kind in ("single", "multi") else []
    return Details(
        kinds.of(head.kind).main,
        len(outputs),
        labels,
        np.asarray(confusion).tolist(),
        bins,
        _slices(rows, metric, clusters),
    )


def write(found: Mapping[str, Details], folder: Path) -> None:
    text = json.dumps({head: asdict(one) for head, one in found.items()}, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Details]:
    """Head -> its details; none where the version was stored without."""
    path = folder / FILE
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {
        head: Details(
            one["metric"],
            one["seeds"],
            [Label(**label) for label in one["labels"]],
            one["confusion"],
            [Bin(**part) for part in one["bins"]],
            [Slice(**part) for part in one["slices"]],
        )
        for head, one in found.items()
    }


Counted = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]
"""Confusion; confidence and correctness of each answer, shape (answers, 2); true, given and right a label."""


def _counted(head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output], temperature: float) -> Counted:
    labels = len(head.labels)
    nothing = np.zeros((0, 0), int), np.zeros((0, 2))
    match head.kind:
        case "single":
            place = {label: number for number, label in enumerate(head.labels)}
            truth = np.array([place[row.labels[head.name]] for row in rows])
            probs = probabilities(arrays(outputs), temperature, multi_label=False)
            answer = probs.argmax(1)
            confusion = np.bincount(truth * labels + answer, minlength=labels**2).reshape(labels, labels)
            sure = np.stack([probs.max(1), truth == answer], axis=1)
            return confusion, sure, np.stack([confusion.sum(1), confusion.sum(0), np.diag(confusion)])
        case "multi":
            actual = np.array([[label in row.labels[head.name] for label in head.labels] for row in rows])
            probs = probabilities(arrays(outputs), temperature, multi_label=True)
            given = probs >= THRESHOLD
            sure = np.stack([np.maximum(probs, 1 - probs).ravel(), (given == actual).ravel()], axis=1)
            return nothing[0], sure, np.stack([part.sum(0) for part in (actual, given, actual & given)])
        case "tags":
            from engine.tasks.tag import decode

            counts = np.zeros((3, labels), int)
            for row, output in zip(rows, outputs, strict=True):
                real = set(row.labels[head.name])
                found = {(one.start, one.end, one.label) for one in decode(head, output, temperature, row.text)}
                for part, spans in enumerate((real, found, real & found)):
                    for _, _, label in spans:
                        counts[part, head.labels.index(label)] += 1
            return *nothing, counts
        case _:
            return *nothing, np.zeros((3, labels), int)


def _bins(sure: NDArray[np.float64]) -> list[Bin]:
    numbers = np.minimum((sure[:, 0] * BINS).astype(int), BINS - 1)
    chosen = [sure[numbers == number] for number in range(BINS)]
    return [Bin(len(part), float(part[:, 0].mean()), float(part[:, 1].mean())) for part in chosen if len(part)]


def _slices(rows: Sequence[Row], metric: Metric, clusters: Sequence[object]) -> list[Slice]:
    found = []
    for by, names in (("length", lengths(rows)), ("language", [row.language for row in rows])):
        for name in dict.fromkeys(sorted({name for name in names if name is not None}, key=_first_number)):
            chosen = np.flatnonzero([one == name for one in names])
            if LEAST_ROWS <= len(chosen) < len(rows):
                within = [clusters[number] for number in chosen.tolist()]
                figure = bootstrap(lambda over, chosen=chosen: metric(chosen[over]), within)  # type: ignore[misc]
                found.append(Slice(by, name, len(chosen), *figure))
    return found


def lengths(rows: Sequence[Row]) -> list[str]:
    """Which quarter of the rows each is in, by characters; texts of one length stay together."""
    counts = np.array([len(row.whole) for row in rows])
    edges = np.unique(np.quantile(counts, [0, 0.25, 0.5, 0.75, 1], method="higher"))
    if len(edges) < 2:
        return [f"{edges[0]} characters"] * len(rows)
    parts = np.searchsorted(edges[1:], counts)  # (low, high], the first with its low
    starts = [edges[0], *(edges[1:-1] + 1)]
    return [f"{starts[part]} to {edges[part + 1]} characters" for part in parts]


def _first_number(name: str) -> tuple[int, str]:
    first = name.split(" ")[0]
    return (int(first), "") if first.isdigit() else (0, name)
