"""Regression heads: a number a text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import BadRow, Row
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Metric, Output, arrays


@dataclass(frozen=True)
class Number:
    value: float


class Regression:
    main = "r2"

    def read(self, head: HeadSpec, value: Any, column: str, text: str, pair: str | None) -> float | None:
        if value is None or value == "":
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise BadRow(f"field '{column}' is {str(value)[:60]!r}; a regression head takes a number") from None
        if not math.isfinite(number):
            raise BadRow(f"field '{column}' is {number}; a regression head takes a finite number")
        return number

    def truth(self, head: HeadSpec, rows: Sequence[Row]) -> NDArray[np.float64]:
        return np.array([row.labels[head.name] for row in rows], dtype=np.float64)

    def temperature(self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output]) -> float:
        return 1.0

    def metrics(
        self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output], temperature: float
    ) -> dict[str, Metric]:
        truth = self.truth(head, rows)
        found = arrays(outputs)[:, 0]

        def r2(over: NDArray[np.intp]) -> float:
            spread = float(((truth[over] - truth[over].mean()) ** 2).sum())
            return 1.0 - float(((truth[over] - found[over]) ** 2).sum()) / spread if spread else 0.0

        return {"r2": r2, "mean_absolute_error": lambda over: float(np.abs(truth[over] - found[over]).mean())}

    def answer(self, head: HeadSpec, output: Output, temperature: float, text: str, pair: str | None) -> Number:
        return Number(float(output.logits[0]))
