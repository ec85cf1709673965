"""Agreement: the share of texts that two forms of a model answer alike, for want of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.predictor import Predictor, Text
from engine.tasks import kinds
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Output
from engine.tasks.retrieval import unit

ALIKE = 0.05
"""Numbers are alike when they differ by no more than so much of their standard deviation."""


def agreement(
    model: Predictor, head: HeadSpec, texts: Sequence[Text], one: Sequence[Output], other: Sequence[Output]
) -> float:
    """Share of the texts, 0 to 1, of which a head's two outputs give the same labels, entities, span or number; of
    vectors, the mean cosine of both.

    Args:
        model: either of the two forms; its temperatures decode the outputs.
    """
    if head.kind in ("regression", "relevance"):
        left, right = (np.array([float(output.logits[0]) for output in outputs]) for outputs in (one, other))
        return float((np.abs(left - right) <= ALIKE * left.std()).mean())
    if head.kind == "vector":
        left, right = (unit(np.array([output.logits for output in outputs])) for outputs in (one, other))
        return float((left * right).sum(-1).mean())
    pairs = zip(one, other, texts, strict=True)
    return float(np.mean([_told(model, head, a, text) == _told(model, head, b, text) for a, b, text in pairs]))


def _told(model: Predictor, head: HeadSpec, output: Output, text: Text) -> object:
    first, second = (text, None) if isinstance(text, str) else text
    answer = kinds.of(head.kind).answer(head, output, model.temperatures[head.name], first, second)
    match head.kind:
        case "tags":
            return {(entity.start, entity.end, entity.label) for entity in answer.entities}
        case "span":
            return answer.start, answer.end
        case _:
            return set(answer.labels)
