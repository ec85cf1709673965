"""Rerank: a cross-encoder reads the first candidates beside what the user took last, as many as the time allows.

taken next, beside what the ranker wrongly put first ─> pairs ─> engine `rank` ─> model ─┐
lists of held-out users ─────────────────────────────────────────────────────────────────┴─> weights
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender.cross_encoder import CrossEncoder, Pair
from apps.recommender.fusion import CUT, Doubles, Fusion
from apps.recommender.items import Items
from apps.recommender.metrics import discount
from apps.recommender.past import Floats, Ints, Past
from apps.recommender.standing import Margins
from apps.recommender.training import TOGETHER, Training, tuned

RECENT, WORDS, ITEM_WORDS = 5, 10, 40
"""Past items that are read, the first words of each, and those of a candidate: a pair stays under 96 tokens."""
POOL, HARD = 60, 4
"""Items drawn beside what was taken, and how many of those that the ranker puts first it is told from."""
HELD = 300
"""Held-out lists on which the weights are learnt."""
WEIGHTS = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Blend:
    """How a cross-encoder's logits join the margins of the candidates it read.

    Within these the margin m becomes (1 - weight) x m + weight x (mean m + scale x (logit - mean logit)): the same
    mean and about the same spread, so that they keep their standing among those it did not read.

    Attributes:
        model: NAME@NUMBER.
        weights, scales: behaviour -> its number; a weight of 0 says that it did not help.
        gains: behaviour -> nDCG that the weight won on held-out lists.
        depth: candidates, from the top, that are read at most.
    """

    model: str
    weights: Mapping[str, float]
    scales: Mapping[str, float]
    gains: Mapping[str, float]
    depth: int

    @property
    def helps(self) -> bool:
        return any(self.weights.values())

    def added(self, margins: Margins, logits: Doubles) -> dict[str, Doubles]:
        """What reading the first candidates adds to the margins of all; `margins` best first, of as many logits at
        least. Shapes (candidates,) and (read,)."""
        return {name: _added(each, logits, self.scales[name], self.weights[name]) for name, each in margins.items()}


def _added(margins: Doubles, logits: Doubles, scale: float, weight: float) -> Doubles:
    read, found = margins[: len(logits)], np.zeros(len(margins))
    if len(logits):
        found[: len(logits)] = weight * (read.mean() - read + scale * (logits - logits.mean()))
    return found


@dataclass(frozen=True)
class Reranker:
    """What reads the first candidates of a list, and what it adds to their margins."""

    blend: Blend
    items: Items
    encoder: CrossEncoder

    @classmethod
    def of(cls, blend: Blend, items: Items) -> Reranker:
        return cls(blend, items, CrossEncoder.of(blend.model))

    def pairs(self, past: Past, numbers: Ints) -> list[Pair]:
        """What is read of one history and candidates; nothing where the history says nothing."""
        taken = told(past, self.items)
        return [(taken, item) for item in described(numbers, self.items)] if taken else []

    def read(self, past: Past, numbers: Ints, deadline: float | None = None) -> Doubles:
        """Logits of the first candidates, best first: at most `depth`, and as many as are done by the deadline."""
        return self.encoder.read(self.pairs(past, numbers[: self.blend.depth]), deadline)

    def scores(self, fusion: Fusion, past: Past, numbers: Ints, matrix: Floats) -> Doubles:
        """Of one list, its first candidates read, whatever it takes; the rows in the order given."""
        margins = fusion.margins(matrix)
        order = np.argsort(-fusion.scores(fusion.probabilities(margins)), kind="stable")
        first = {name: each[order] for name, each in margins.items()}
        added = self.blend.added(first, self.read(past, numbers[order]))
        found = np.empty(len(order))
        found[order] = fusion.scores(fusion.probabilities({name: first[name] + added[name] for name in first}))
        return found


def told(past: Past, items: Items) -> str:
    """What one user took last, newest first, in few words each."""
    recent = list(dict.fromkeys(past.items[::-1].tolist()))[:RECENT]
    texts = items.texts(items.ids[recent].tolist()) if recent else []
    return "; ".join(_first(text, WORDS) for text in texts if text)


def described(numbers: Ints, items: Items) -> list[str]:
    """Of each item the first words."""
    return [_first(text, ITEM_WORDS) for text in items.texts(items.ids[numbers].tolist())]


def _first(text: str, words: int) -> str:
    return " ".join(text.split()[:words])


def fit(training: Training, fusion: Fusion) -> Blend:
    """Train the cross-encoder on the users that the boosters learn from, and weigh it on the others."""
    settings = training.settings
    with training.clock.stage("cross-encoder"):
        rows = _pairs(training, fusion, settings.rerank.pairs // (HARD + 1))
        progress = training.clock.progress
        model = tuned(settings.rerank.recipe, rows, settings.rerank.base, seed=settings.seed, progress=progress)
    with training.clock.stage("weight of the cross-encoder"):
        return _weighed(training, fusion, model)


@dataclass(frozen=True)
class _Lists:
    """What some steps chose from, the target last: shapes (steps, candidates)."""

    past: Past
    candidates: Ints
    margins: Margins
    scores: Doubles


def _lists(training: Training, fusion: Fusion, aside: bool, most: int) -> tuple[NDArray[np.int64], _Lists]:
    """The first steps, of users set aside or of the others, that have a past."""
    steps, features = training.steps, training.features
    rows = np.flatnonzero((training.aside == aside) & (steps.past.lengths > 0))[:most]
    published = None if np.isnan(steps.as_of).any() else features.catalogue.published
    drawn = steps.candidates(len(training.items), POOL, published=published, seed=training.settings.seed + 1)
    candidates, past = drawn[rows], steps.past.take(rows)
    owners = np.repeat(np.arange(len(rows)), POOL + 1)
    as_of = None if published is None else steps.as_of[rows][owners]
    matrix = features.matrix(past, owners, candidates.ravel(), as_of, batch=TOGETHER)
    margins = fusion.margins(matrix)
    scores = fusion.scores(fusion.probabilities(margins)).reshape(candidates.shape)
    shaped = {name: each.reshape(candidates.shape) for name, each in margins.items()}
    return rows, _Lists(past, candidates, shaped, scores)


def _pairs(training: Training, fusion: Fusion, most: int) -> list[dict[str, Any]]:
    rows, lists = _lists(training, fusion, False, most)
    found = []
    for at, row in enumerate(rows.tolist()):
        taken = told(lists.past.take(np.array([at])), training.items)
        hard = np.argsort(-lists.scores[at, :-1], kind="stable")[:HARD]
        chosen = lists.candidates[at, [POOL, *hard]]
        for place, text in enumerate(described(chosen, training.items)):
            if taken and text:
                user = int(training.steps.users[row])
                found.append({"taken": taken, "item": text, "relevance": int(place == 0), "user": user})
    return found


def _weighed(training: Training, fusion: Fusion, model: str) -> Blend:
    rows, lists = _lists(training, fusion, True, HELD)
    depth = training.settings.rerank.depth
    reranker = Reranker.of(Blend(model, {}, {}, {}, depth), training.items)
    orders = np.argsort(-lists.scores, axis=1, kind="stable")
    logits = [
        reranker.read(lists.past.take(np.array([at])), lists.candidates[at, order]) for at, order in enumerate(orders)
    ]
    weights, scales, gains = {}, {}, {}
    for name, margins in lists.margins.items():
        happened = np.flatnonzero(training.steps.labels[name][rows])
        ranked = [margins[at, orders[at]] for at in happened]
        targets = [int(np.flatnonzero(orders[at] == POOL)[0]) for at in happened]
        read = [logits[at] for at in happened]
        scales[name] = _ratio(ranked, read)
        values = np.array(
            [
                [_ndcg(each + _added(each, one, scales[name], weight), target) for weight in WEIGHTS]
                for each, one, target in zip(ranked, read, targets, strict=True)
            ]
        ).reshape(len(ranked), len(WEIGHTS))
        best, gains[name] = _chosen(values)
        weights[name] = float(WEIGHTS[best])
    return Blend(model, weights, scales, gains, depth)


def _ratio(margins: list[Doubles], logits: list[Doubles]) -> float:
    """Spread of the margins by that of the logits, within lists."""
    read = [(float(each[: len(one)].var()), float(one.var())) for each, one in zip(margins, logits, strict=True)]
    own, others = np.sqrt(np.mean(read, axis=0)) if read else (0.0, 1.0)
    return float(own / max(others, 1e-9))


def _ndcg(margins: Doubles, target: int) -> float:
    """Of a list with one wanted item; ties count against us."""
    place = int((margins >= margins[target]).sum()) - 1
    return float(discount(np.array([place]), CUT)[0])


def _chosen(values: Doubles) -> tuple[int, float]:
    """The best weight and its gain over none; none where the gain lies within one standard error (Breiman et al. 1984).

    Args:
        values: nDCG, shape (lists, weights); the first weight is 0.
    """
    if len(values) < 2:
        return 0, 0.0
    gains = values - values[:, :1]
    best = int(gains.mean(axis=0).argmax())
    mean, error = float(gains[:, best].mean()), float(gains[:, best].std(ddof=1) / np.sqrt(len(gains)))
    return (best, mean) if mean > error else (0, 0.0)
