"""Asked: a model's answers to many nearly equal texts, each asked for once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.evaluate.intervals import of_mean, wilson
from engine.evaluate.metrics import THRESHOLD
from engine.predictor import Arrays, Text
from engine.tasks.heads import HeadSpec, ModelSpec

LEAST = 20
"""Texts from which on a bound is held against a share: of fewer it says nothing."""


class Answering(Protocol):
    """What the checks need of a `Predictor`."""

    @property
    def spec(self) -> ModelSpec: ...

    def probabilities(self, texts: Sequence[Text]) -> Arrays: ...


class Remembering:
    """Answers as another does, and remembers what it was asked: several heads and checks share the cost."""

    def __init__(self, predictor: Answering) -> None:
        self.spec = predictor.spec
        self._predictor = predictor
        self._known: dict[Text, dict[str, NDArray[np.float64]]] = {}

    def probabilities(self, texts: Sequence[Text]) -> Arrays:
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            found = self._predictor.probabilities(new)
            for number, text in enumerate(new):
                self._known[text] = {head: values[number] for head, values in found.items()}
        heads = [head.name for head in label_heads(self.spec)]
        return {head: np.stack([self._known[text][head] for text in texts]) for head in heads}


@dataclass(frozen=True)
class Example:
    """A text, what was made of it, and what the model said of both."""

    text: str
    changed: str
    before: str
    after: str

    @classmethod
    def of(cls, head: HeadSpec, texts: tuple[Text, Text], probs: Sequence[NDArray[np.float64]]) -> Example:
        """Of a text and the changed one, with the probabilities of each; of pairs, their first texts."""
        first, second = (text if isinstance(text, str) else text[0] for text in texts)
        return cls(first, second, said(head, probs[0]), said(head, probs[1]))


def label_heads(spec: ModelSpec) -> list[HeadSpec]:
    return [head for head in spec.heads if head.kind in ("single", "multi")]


def head_of(predictor: Answering, name: str) -> HeadSpec:
    """The label head of a name.

    Raises:
        InputError: there is none.
    """
    known = {head.name: head for head in label_heads(predictor.spec)}
    if name not in known:
        raise InputError(
            f"there is no head '{name}' to check; of this model ({predictor.spec.task}) these have labels: "
            f"{', '.join(known) or 'none'}"
        )
    return known[name]


def given(head: HeadSpec, probs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which labels are answered, shape (texts, labels)."""
    if head.multi_label:
        return np.asarray(probs >= THRESHOLD)
    return np.asarray(np.arange(probs.shape[1])[None] == probs.argmax(1)[:, None])


def apart(head: HeadSpec, before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far answers lie apart, 0 to 1, shape (texts,): of one label 0 or 1, of several the Jaccard distance of sets.

    That is the share of the labels of either that the other has not (Jaccard 1901; for multi-label answers Godbole &
    Sarawagi 2004). Whether two sets are the very same is a question that gets harder with each label there is; the
    share of all labels that flip is next to nothing, as nearly all are off before and after.
    """
    first, second = given(head, before), given(head, after)
    return np.asarray((first ^ second).sum(1) / np.maximum((first | second).sum(1), 1))


def interval(distances: NDArray[np.float64]) -> tuple[float, float]:
    """95%, of their mean: Wilson 1927 where each is 0 or 1, else by the bootstrap."""
    if np.isin(distances, (0.0, 1.0)).all():
        return wilson(int(distances.sum()), len(distances))
    return of_mean(distances)[1:]


def said(head: HeadSpec, probs: NDArray[np.float64]) -> str:
    """One answer in words, "positive 0.91", from probabilities of shape (labels,)."""
    order = [place for place in np.argsort(-probs, kind="stable").tolist() if given(head, probs[None])[0, place]]
    return ", ".join(f"{head.labels[place]} {probs[place]:.2f}" for place in order) or "none"
