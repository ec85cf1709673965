"""Sketch: what is kept of texts and their answers in the place of both: counts that add up, and sums of vectors."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.predictor import Prediction, Text
from engine.text.languages import detect

TEXTS, LENGTH, LANGUAGE, EMBEDDING = "texts", "length", "language", "embedding"
LABEL, PROBABILITY, NUMBER, ENTITIES = ": label", ": probability", ": number", ": entities"
"""Of a head: its name before them."""
ORDERED = (LENGTH, PROBABILITY, NUMBER)
"""Endings of measures whose bins are numbers in an order."""
STEPS = 20
"""Bins of a probability."""
OCTAVE = 4
"""Bins within which a length doubles."""
MANY = 5
"""Entities from which on a text has many."""
DIRECTIONS = 16
"""Random directions that vectors are projected on: means of 16 numbers, and their 136 products, tell a shift."""

Cell = tuple[str, str]
"""Measure and bin."""


@dataclass(frozen=True)
class Sketch:
    """Counts and sums; those of two parts add up to those of the whole."""

    cells: Mapping[Cell, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        predictions: Sequence[Prediction],
        texts: Sequence[Text | int],
        embeddings: NDArray[np.floating[Any]] | None = None,
    ) -> Sketch:
        """Of some answered texts.

        Args:
            texts: or their lengths in characters, which tell no language.
            embeddings: unit vectors of the texts, shape (texts, width); of embed models the predictions have them.
        """
        cells: dict[Cell, float] = defaultdict(float)
        vectors: list[Sequence[float]] = []
        for prediction, text in zip(predictions, texts, strict=True):
            for cell in _of_text(text):
                cells[cell] += 1
            for head, answer in prediction.heads.items():
                for cell in _of_answer(head, answer):
                    cells[cell] += 1
                if (vector := getattr(answer, "vector", None)) is not None:
                    vectors.append(vector)
        found = embeddings if embeddings is not None else np.array(vectors) if vectors else None
        if found is not None and len(found):
            cells.update(_moments(np.asarray(found, dtype=np.float64)))
        return cls(cells)

    def __add__(self, other: Sketch) -> Sketch:
        found = dict(self.cells)
        for cell, value in other.cells.items():
            found[cell] = found.get(cell, 0.0) + value
        return Sketch(found)

    @property
    def texts(self) -> int:
        return round(self.cells.get((TEXTS, ""), 0))

    def bins(self, measure: str) -> dict[str, float]:
        """Of one measure."""
        return {bin_: count for (name, bin_), count in self.cells.items() if name == measure}

    def measures(self) -> list[str]:
        """Those that are counts, in a fixed order."""
        return sorted({name for name, _ in self.cells} - {TEXTS, EMBEDDING})

    def moments(self) -> tuple[float, NDArray[np.float64], NDArray[np.float64]] | None:
        """Number, mean (directions,) and covariance (directions, directions) of the projected vectors, if any."""
        found = self.bins(EMBEDDING)
        count = found.get("n", 0.0)
        if count < 2:
            return None
        mean = np.array([found[f"{i}"] for i in range(DIRECTIONS)]) / count
        products = np.zeros((DIRECTIONS, DIRECTIONS))
        for i, j in _pairs():
            products[i, j] = products[j, i] = found[f"{i},{j}"]
        return count, mean, (products - count * np.outer(mean, mean)) / (count - 1)


def _of_text(text: Text | int) -> Iterator[Cell]:
    yield TEXTS, ""
    if isinstance(text, int):
        length = text
    else:
        length = len(text) if isinstance(text, str) else sum(map(len, text))
        yield LANGUAGE, detect(text if isinstance(text, str) else text[0]) or "?"
    yield LENGTH, str(math.floor(OCTAVE * math.log2(1 + length)))


def _of_answer(head: str, answer: Any) -> Iterator[Cell]:
    """By what an answer has: each kind of head has its own, and new ones go unwatched rather than fail a server."""
    if (probabilities := getattr(answer, "probabilities", None)) is not None:
        # Of several labels the first stands for them: a text is one count of each measure.
        yield head + LABEL, next(iter(answer.labels), "none")
        yield head + PROBABILITY, _step(max(probabilities.values()))
    elif (entities := getattr(answer, "entities", None)) is not None:
        yield head + ENTITIES, str(len(entities)) if len(entities) < MANY else f"{MANY}+"
    elif (probability := getattr(answer, "probability", None)) is not None:
        yield head + PROBABILITY, _step(probability)
    elif isinstance(value := getattr(answer, "value", None), float) and math.isfinite(value):
        yield head + NUMBER, str(math.floor(OCTAVE * math.asinh(value)))


def told(measure: str, first: int, last: int) -> str:
    """Neighbouring bins of a measure in an order, in words."""
    if measure.endswith(PROBABILITY):
        return f"{first / STEPS:.2f} to {(last + 1) / STEPS:.2f}"
    if measure == LENGTH:
        low, high = (2 ** (bin_ / OCTAVE) - 1 for bin_ in (first, last + 1))
        return f"{math.ceil(low - 1e-9)} to {math.ceil(high - 1e-9) - 1} characters"
    return f"{math.sinh(first / OCTAVE):.3g} to {math.sinh((last + 1) / OCTAVE):.3g}"


def _step(probability: float) -> str:
    return str(min(STEPS - 1, int(probability * STEPS)))


def _moments(vectors: NDArray[np.float64]) -> Iterator[tuple[Cell, float]]:
    projected = vectors @ _directions(vectors.shape[1])
    yield (EMBEDDING, "n"), float(len(projected))
    for i, total in enumerate(projected.sum(0).tolist()):
        yield (EMBEDDING, f"{i}"), total
    products = projected.T @ projected
    for i, j in _pairs():
        yield (EMBEDDING, f"{i},{j}"), float(products[i, j])


def _pairs() -> list[tuple[int, int]]:
    return [(i, j) for i in range(DIRECTIONS) for j in range(i, DIRECTIONS)]


@cache
def _directions(width: int) -> NDArray[np.float64]:
    """The same for every process: sums of one day must add to those of another."""
    return np.random.default_rng(width).standard_normal((width, DIRECTIONS))
