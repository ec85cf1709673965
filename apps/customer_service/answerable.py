"""Answerable: whether what was found answers the question, read together.

No sentence by itself tells that none of them will do. A classifier reads the question with the nearest ones, and has
learnt from past dialogues which questions were answered out of such a context and which were not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from apps.customer_service.evidence import Evidence
from apps.customer_service.examples import Examples, Sentences

if TYPE_CHECKING:
    from engine import Embedder, Predictor

HEAD = "answerable"
NO, YES = "unanswerable", "answerable"
READ = 4
"""Sentences in a context."""
CERTAIN = 1e-6


def context(nearest: Sequence[str]) -> str:
    """The first sentences, each once."""
    return " ".join(list(dict.fromkeys(nearest))[:READ])


def rows(made: Examples, held: Sentences, embedder: Embedder) -> list[dict[str, str]]:
    """question, context, answerable."""
    asked = [(one.question, YES) for one in made.told] + [(text, NO) for text in made.unanswered]
    found = []
    for (question, label), vector in zip(asked, embedder.stream([text for text, _ in asked]), strict=True):
        near = np.argsort(-(held.vectors @ vector), kind="stable")[: 2 * READ]
        found.append({"question": question, "context": context([held.bare[at] for at in near]), HEAD: label})
    return found


def log_odds(question: str, evidence: Sequence[Evidence], reader: Predictor | None) -> float:
    """Log-odds that the evidence answers the question; 0 without a reader or evidence."""
    if reader is None or not evidence:
        return 0.0
    near = [one.text for one in sorted(evidence, key=lambda one: -one.dense)]
    (found,) = reader.predict([(question, context(near))])
    sure = min(max(float(found[HEAD].probabilities[YES]), CERTAIN), 1 - CERTAIN)
    return math.log(sure / (1 - sure))
