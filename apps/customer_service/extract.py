"""Extract: an answer made of the articles' own sentences, each with its citation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps.customer_service.evidence import Evidence
from apps.customer_service.logistic import Values

SENTENCES = 3
SHARE = 0.15
"""Of the best sentence's odds that another one needs to belong to the answer."""


def choose(evidence: Sequence[Evidence], scores: Values) -> list[Evidence]:
    """The sentences to answer with, in the order in which the article has them: the best one, and those of the same
    article that come close to it.

    Args:
        scores: how well each sentence answers, 0 to 1, shape (sentences,).
    """
    if not evidence:
        return []
    odds = scores / np.maximum(1 - scores, 1e-9)
    best = int(np.argmax(odds))
    document = evidence[best].passage.chunk.document
    near = [
        at
        for at, one in enumerate(evidence)
        if one.passage.chunk.document == document and odds[at] >= SHARE * odds[best]
    ]
    kept = sorted(near, key=lambda at: -odds[at])[:SENTENCES]
    return sorted((evidence[at] for at in kept), key=lambda one: one.passage.chunk.start + one.span.start)


def articles(evidence: Sequence[Evidence], scores: Values) -> list[str]:
    """The documents, by how well the best sentence of each answers."""
    best: dict[str, float] = {}
    for one, score in zip(evidence, scores, strict=True):
        document = one.passage.chunk.document
        best[document] = max(best.get(document, 0.0), float(score))
    return sorted(best, key=lambda document: -best[document])
