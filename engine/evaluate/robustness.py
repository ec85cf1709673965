"""Robustness: how often a model's answer changes where it must not, or fails to move where it must.

Invariance and directional expectation tests of CheckList (Ribeiro et al. 2020, arXiv 2005.04118) on texts as they are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import Row
from engine.errors import InputError
from engine.evaluate.asked import LEAST, Answering, Example, apart, head_of, interval
from engine.evaluate.probes import DIRECTED, INVARIANT, Change
from engine.predictor import Text
from engine.recipe.checks import Directional, Robustness
from engine.tasks.heads import HeadSpec

TOLERANCE = 0.1
"""How far an answer may move the wrong way, as CheckList's default; of a scale from 0, worst, to 1, best."""
EXAMPLES = 5
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """How often a model fails at one kind of change."""

    name: str
    kind: Literal["invariance", "directional"]
    head: str
    built: str
    """How its texts are made."""
    tried: int
    """Texts that it fits."""
    failed: int
    """Of them those that fail; of a multi-label head those with any other label."""
    rate: float
    """Share of them that fail; of a multi-label head how far its labels change, as `asked.apart`; 0 of none."""
    interval: tuple[float, float]
    """95%, as `asked.interval`."""
    bound: float
    examples: tuple[Example, ...]

    @property
    def held(self) -> bool:
        """Whether the rate is within its bound; fewer than 20 texts are not held against it."""
        return self.tried < LEAST or self.rate <= self.bound


def robustness(
    predictor: Answering, rows: Sequence[Row], *, head: str, seed: int = 0, bounds: Robustness | None = None
) -> list[Probe]:
    """The probes of one label head, in the same order and of the same texts for the same rows and seed.

    The directional ones are asked where `bounds.directional` orders the head's labels. In a pair its first text is
    changed. Rows need no labels: a wrong answer too should stay what it is.

    Raises:
        InputError: the model has no such head of labels, or the head no such label.
    """
    bounds = bounds or Robustness()
    spec = head_of(predictor, head)
    order = bounds.directional.get(head, [])
    if unknown := [label for label in order if label not in spec.labels]:
        raise InputError(f"directional.{head}: no label {unknown[0]!r}; known: {', '.join(spec.labels)}")
    texts: list[Text] = [row.text if row.pair is None else (row.text, row.pair) for row in rows]
    found = []
    for name, built in INVARIANT.items():
        pairs = _changed(texts, built.change, f"{seed}/{name}", bounds.most)
        before, after = _asked(predictor, spec, pairs)
        faults = apart(spec, before, after)
        found.append(_probe(name, "invariance", spec, built.told, pairs, (before, after), faults, bounds.bound(name)))
    for directed, built in DIRECTED.items() if order else ():
        everywhere = directed in ("bad_clause", "good_clause")
        pairs = _changed(texts, built.change, f"{seed}/{directed}", bounds.most if everywhere else None)
        before, after = _asked(predictor, spec, pairs)
        meant, failed = _moved(directed, *(_score(spec, order, probs) for probs in (before, after)))
        chosen = np.flatnonzero(meant)[: bounds.most]
        found.append(
            _probe(
                directed,
                "directional",
                spec,
                built.told,
                [pairs[number] for number in chosen],
                (before[chosen], after[chosen]),
                failed[chosen].astype(np.float64),
                bounds.bound(directed),
            )
        )
    return found


def _changed(texts: Sequence[Text], change: Change, seed: str, most: int | None) -> list[tuple[Text, Text]]:
    """The first texts that the change fits, with what becomes of them; a text's own draw hangs on no other text."""
    pairs: list[tuple[Text, Text]] = []
    for text in texts:
        first = text if isinstance(text, str) else text[0]
        made = change(first, random.Random(f"{seed}/{first}"))
        if made is not None and made != first:
            pairs.append((text, made if isinstance(text, str) else (made, text[1])))
        if len(pairs) == most:
            break
    return pairs


def _asked(predictor: Answering, head: HeadSpec, pairs: Sequence[tuple[Text, Text]]) -> tuple[Scores, Scores]:
    """Probabilities before and after, shape (pairs, labels) each."""
    if not pairs:
        return np.zeros((0, len(head.labels))), np.zeros((0, len(head.labels)))
    both = predictor.probabilities([text for pair in pairs for text in pair])[head.name]
    return both[::2], both[1::2]


def _score(head: HeadSpec, order: Sequence[str], probs: Scores) -> Scores:
    """Where each answer lies from worst, 0, to best, 1: the mean rank under the probabilities of the ordered labels."""
    ordered = probs[:, [head.labels.index(label) for label in order]]
    ranks = np.linspace(0, 1, len(order))
    return np.asarray(ordered @ ranks / np.maximum(ordered.sum(1), 1e-12))


def _moved(probe: Directional, before: Scores, after: Scores) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which texts a directional probe is about, and which of them fail."""
    rise = after - before
    best = before > 0.5
    at_an_end = np.abs(before - 0.5) > 0.25
    match probe:
        case "bad_clause":
            return np.ones_like(best), rise > TOLERANCE
        case "good_clause":
            return np.ones_like(best), rise < -TOLERANCE
        case "negation":
            # A model that reads over "not" stays where it is: that is what the probe is there to find.
            return at_an_end, np.where(best, rise >= 0, rise <= 0)
        case "intensifier":
            return at_an_end, np.where(best, rise < -TOLERANCE, rise > TOLERANCE)


def _probe(
    name: str,
    kind: Literal["invariance", "directional"],
    head: HeadSpec,
    told: str,
    pairs: Sequence[tuple[Text, Text]],
    probs: tuple[Scores, Scores],
    faults: Scores,
    bound: float,
) -> Probe:
    """Args: faults: how far each text fails, 0 to 1."""
    # The clearest failures first: those whose probabilities moved most.
    far = np.abs(probs[0] - probs[1]).sum(1)
    shown = sorted(np.flatnonzero(faults).tolist(), key=lambda number: -far[number])[:EXAMPLES]
    examples = tuple(Example.of(head, pairs[one], (probs[0][one], probs[1][one])) for one in shown)
    tried, failed = len(pairs), int(np.count_nonzero(faults))
    rate = float(faults.mean()) if tried else 0.0
    return Probe(name, kind, head.name, told, tried, failed, rate, interval(faults), bound, examples)
