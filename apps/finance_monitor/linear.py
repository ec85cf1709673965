"""Linear: a linear model on hashed n-grams that answers as a champion would, and says how sure it is of that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.finance_monitor.ngrams import WIDTH, features
from engine import Answer

Values = NDArray[np.float64]
WEIGHTS, HEADS = "weights.npz", "linear.json"


@dataclass(frozen=True)
class Head:
    name: str
    labels: tuple[str, ...]
    multi_label: bool


@dataclass(frozen=True)
class Linear:
    heads: tuple[Head, ...]
    weights: NDArray[np.float32]
    """Shape (WIDTH + 1, labels of all heads); the last row is added to every text."""
    sure: float
    """Sureness from which an answer stands."""

    def answers(self, texts: Sequence[str]) -> list[tuple[dict[str, Answer], float]]:
        """Of each text its heads' answers, and the sureness, 0 to 1: that all of its labels are the champion's.

        An answer never depends on the other texts.
        """
        if not texts:
            return []
        probs = probabilities(self.scores(features(texts)), self.heads)
        told: list[dict[str, Answer]] = [{} for _ in texts]
        for head, part in zip(self.heads, probs, strict=True):
            for heads, row in zip(told, part.tolist(), strict=True):
                heads[head.name] = _answer(head, row)
        return list(zip(told, sureness(probs, self.heads).tolist(), strict=True))

    def scores(self, rows: Any) -> Values:
        """What a sparse matrix of features, in float32 as the weights are, comes to; shape (texts, labels)."""
        return np.asarray(rows @ self.weights[:-1] + self.weights[-1], dtype=np.float64)

    def write(self, folder: Path) -> None:
        np.savez_compressed(folder / WEIGHTS, weights=self.weights)
        values = {"heads": [asdict(head) for head in self.heads], "sure": self.sure}
        (folder / HEADS).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Linear:
        """What `write` wrote.

        Raises:
            OSError, ValueError, KeyError: a file is missing or damaged.
        """
        values = json.loads((folder / HEADS).read_text(encoding="utf-8"))
        heads = tuple(Head(one["name"], tuple(one["labels"]), one["multi_label"]) for one in values["heads"])
        with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
            weights = arrays["weights"]
        if weights.shape != (WIDTH + 1, sum(len(head.labels) for head in heads)):
            raise ValueError(f"weights of shape {weights.shape} for {WIDTH + 1} features")
        return cls(heads, weights, float(values["sure"]))


def probabilities(scores: Values, heads: Sequence[Head]) -> list[Values]:
    """Of each head the probabilities, shape (texts, labels)."""
    found, at = [], 0
    for head in heads:
        part = scores[:, at : at + len(head.labels)]
        at += len(head.labels)
        if head.multi_label:
            found.append(0.5 * (1.0 + np.tanh(0.5 * part)))
        else:
            exponents = np.exp(part - part.max(-1, keepdims=True))
            found.append(exponents / exponents.sum(-1, keepdims=True))
    return found


def sureness(probs: Sequence[Values], heads: Sequence[Head]) -> Values:
    """The probability that all labels are right, as if they did not depend on each other; shape (texts,)."""
    each = [
        np.maximum(part, 1 - part).prod(-1) if head.multi_label else part.max(-1)
        for head, part in zip(heads, probs, strict=True)
    ]
    return np.asarray(np.prod(each, axis=0))


def _answer(head: Head, row: list[float]) -> Answer:
    named = dict(zip(head.labels, row, strict=True))
    if not head.multi_label:
        return Answer((max(head.labels, key=named.__getitem__),), named)
    given = [label for label in head.labels if named[label] >= 0.5]
    return Answer(tuple(sorted(given, key=lambda label: -named[label])), named)
