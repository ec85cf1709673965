"""Label heads: one label a text (softmax) or several (a sigmoid each)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import BadRow, Row
from engine.evaluate import calibration, metrics
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Metric, Output, arrays


@dataclass(frozen=True)
class Answer:
    """What a label head says of a text."""

    labels: tuple[str, ...]
    """The label; for a multi-label head all labels at 0.5 or above, most probable first, perhaps none."""
    probabilities: dict[str, float]

    @property
    def label(self) -> str:
        """The first label.

        Raises:
            ValueError: a multi-label head gave none.
        """
        if not self.labels:
            raise ValueError("no label reached the threshold")
        return self.labels[0]


class _Labels:
    """What both kinds of label heads do alike."""

    main = "macro_f1"

    def truth(self, head: HeadSpec, rows: Sequence[Row]) -> NDArray[Any]:
        """Label numbers (rows,), or 0/1 of shape (rows, labels)."""
        raise TypeError("a kind of label head knows its own truth")

    def temperature(self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output]) -> float:
        return calibration.fit_temperature(arrays(outputs), self.truth(head, rows), multi_label=head.multi_label)

    def metrics(
        self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output], temperature: float
    ) -> dict[str, Metric]:
        truth = self.truth(head, rows)
        probs = calibration.probabilities(arrays(outputs), temperature, multi_label=head.multi_label)
        found = (metrics.multi_label if head.multi_label else metrics.single_label)(truth, probs)
        found["ece"] = lambda over: calibration.head_ece(probs[over], truth[over], multi_label=head.multi_label)
        return found


class Single(_Labels):
    def read(self, head: HeadSpec, value: Any, column: str, text: str, pair: str | None) -> str | None:
        return None if value is None or value == "" else _known(str(value), head, column)

    def truth(self, head: HeadSpec, rows: Sequence[Row]) -> NDArray[Any]:
        """Label numbers, shape (rows,)."""
        place = {label: number for number, label in enumerate(head.labels)}
        return np.array([place[row.labels[head.name]] for row in rows], dtype=np.int64)

    def answer(self, head: HeadSpec, output: Output, temperature: float, text: str, pair: str | None) -> Answer:
        probs = calibration.probabilities(output.logits, temperature, multi_label=False)
        return Answer((head.labels[int(probs.argmax())],), dict(zip(head.labels, probs.tolist(), strict=True)))


class Multi(_Labels):
    def read(self, head: HeadSpec, value: Any, column: str, text: str, pair: str | None) -> tuple[str, ...] | None:
        if value is None or value == "":
            return None
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list | tuple):
            raise BadRow(f"field '{column}' is {type(value).__name__}; a multi-label head takes a list of labels")
        return tuple(dict.fromkeys(_known(str(label), head, column) for label in value))

    def truth(self, head: HeadSpec, rows: Sequence[Row]) -> NDArray[Any]:
        """0 or 1, shape (rows, labels)."""
        found = np.zeros((len(rows), len(head.labels)))
        for place, row in enumerate(rows):
            for label in row.labels[head.name]:
                found[place, head.labels.index(label)] = 1.0
        return found

    def answer(self, head: HeadSpec, output: Output, temperature: float, text: str, pair: str | None) -> Answer:
        probs = calibration.probabilities(output.logits, temperature, multi_label=True)
        named = dict(zip(head.labels, probs.tolist(), strict=True))
        given = sorted((label for label in head.labels if named[label] >= metrics.THRESHOLD), key=lambda x: -named[x])
        return Answer(tuple(given), named)


def _known(label: str, head: HeadSpec, column: str) -> str:
    if label not in head.labels:
        near = difflib.get_close_matches(label, head.labels, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(head.labels[:20])}"
        raise BadRow(f"field '{column}': unknown label '{label[:60]}'; {hint}")
    return label
