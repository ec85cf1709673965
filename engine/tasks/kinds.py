"""Kinds of heads: what each knows of its labels, figures and answers. Free of torch, so that serving stays light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import Label, Row
from engine.evaluate.intervals import Metric as Metric
from engine.tasks.heads import HeadKind, HeadSpec


@dataclass(frozen=True)
class Output:
    """What a model says of one text before it is decoded.

    `logits` is (width,) for a head over the text, (tokens, width) for one over its tokens. Then `offsets`
    (tokens, 2) are the characters of each token in its part, and `parts` (tokens,) tells the part: 0 the text, 1 the
    pair, -1 a special token.
    """

    logits: NDArray[np.float64]
    offsets: NDArray[np.int64] | None = None
    parts: NDArray[np.int64] | None = None


class Kind(Protocol):
    """What a kind of head knows."""

    main: str
    """The figure that dev raises, and that an export may not lose."""

    def read(self, head: HeadSpec, value: Any, column: str, text: str, pair: str | None) -> Label:
        """The label in a record's field, None where the row does not say.

        Raises:
            BadRow: it is no label of this head; naming the field and the remedy.
        """

    def temperature(self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output]) -> float:
        """Calibration on rows kept for it; 1 where probabilities are not the answer."""

    def metrics(
        self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output], temperature: float
    ) -> dict[str, Metric]:
        """Figures over rows that all have the head's label; with `ece` where the head answers by probabilities."""

    def answer(self, head: HeadSpec, output: Output, temperature: float, text: str, pair: str | None) -> Any:
        """The typed answer for one text."""


_HOMES: dict[HeadKind, str] = {
    "single": "labels:Single",
    "multi": "labels:Multi",
    "regression": "regression:Regression",
    "tags": "tag:Tags",
    "span": "extract:Span",
    "relevance": "rank:RelevanceKind",
    "vector": "retrieval:Vector",
    "answer": "reply:Reply",
}


@cache
def of(kind: HeadKind) -> Kind:
    """The kind by its name; its file is read at first use."""
    module, _, name = _HOMES[kind].partition(":")
    found: Kind = getattr(import_module(f"engine.tasks.{module}"), name)()
    return found


def answered(head: HeadSpec, rows: Sequence[Row]) -> NDArray[np.intp]:
    """Numbers of the rows that have the head's label."""
    return np.array([number for number, row in enumerate(rows) if row.labels.get(head.name) is not None], dtype=np.intp)


def arrays(outputs: Sequence[Output]) -> NDArray[np.float64]:
    """Logits of a head over texts as one array, shape (rows, width)."""
    return np.stack([output.logits for output in outputs])


def without_prefix(
    offsets: Sequence[tuple[int, int]], parts: Sequence[int], prefix: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offsets and parts as if the model's prefix were not there; its own tokens count as special."""
    found = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    placed = np.asarray(parts, dtype=np.int64)
    first = placed == 0
    found = np.where(first[:, None], np.maximum(found - prefix, 0), found)
    return found, np.where(first & (found[:, 1] == 0), -1, placed)
