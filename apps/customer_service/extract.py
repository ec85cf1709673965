"""Extract: an answer made of the articles' own sentences, each with its citation."""

from __future__ import annotations

from collections.abc import Sequence

from apps.customer_service.evidence import Evidence

SENTENCES = 3
MARGIN = 2.0
"""Logits below the best sentence at which another one still belongs to the answer (it is some 7 times less likely)."""
COSINE_MARGIN = 0.1
"""As MARGIN, where there is no cross-encoder."""


def choose(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The sentences to answer with, in the order in which the article has them: the best one, and those of the same
    article that come close to it."""
    if not evidence:
        return []
    best = max(evidence, key=rank)
    near = [one for one in evidence if one.passage.chunk.document == best.passage.chunk.document and _close(one, best)]
    kept = sorted(near, key=rank, reverse=True)[:SENTENCES]
    return sorted(kept, key=lambda one: one.passage.chunk.start + one.span.start)


def rank(one: Evidence) -> tuple[float, float]:
    """Orders sentences: those that the cross-encoder read before the others."""
    return (one.logit if one.logit is not None else float("-inf"), one.dense)


def _close(one: Evidence, best: Evidence) -> bool:
    if best.logit is None:
        return one.dense >= best.dense - COSINE_MARGIN
    return one.logit is not None and one.logit >= max(best.logit - MARGIN, 0.0 if best.logit > 0 else best.logit)
