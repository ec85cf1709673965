"""Evidence: the sentences of the found passages, each scored for how well it answers the question by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from apps.customer_service.answers import Citation
from apps.customer_service.finder import Found, Search
from apps.customer_service.knowledge import Passage
from apps.customer_service.units import BEFORE_SENTENCES, units
from engine.text.sentences import Span

if TYPE_CHECKING:
    from engine import Predictor

READ = 12
"""Passages whose sentences are looked at."""
RERANKED = 24
"""Sentences, the nearest ones, that the cross-encoder reads together with the question."""


@dataclass(frozen=True)
class Evidence:
    """A sentence of a passage that is in the database now."""

    found: Found
    """Its passage, with the scores of the search."""
    span: Span
    """In characters of the passage's chunk."""
    dense: float
    """Cosine of question and sentence."""
    asked: float
    """Cosine of the nearest past question that it answered, no less than its own."""
    logit: float | None
    """The cross-encoder's; None where it did not read the sentence."""

    @property
    def passage(self) -> Passage:
        return self.found.passage

    @property
    def text(self) -> str:
        return self.span.of(self.passage.chunk.text)

    def citation(self) -> Citation:
        start = self.passage.chunk.start
        return Citation(
            self.passage.chunk.document,
            self.passage.version,
            start + self.span.start,
            start + self.span.end,
            self.text,
            self.passage.title,
        )


def gather(search: Search, reranker: Predictor | None) -> list[Evidence]:
    """The sentences of the first passages, in order of the passages; a sentence that overlapping chunks share once."""
    seen: set[tuple[str, int]] = set()
    sentences: list[tuple[Found, Span, float, float, str]] = []
    for one in search.found[:READ]:
        chunk = one.passage.chunk
        cosines = search.index.cosines(chunk.id, search.vector)[BEFORE_SENTENCES:]
        texts = units(chunk, one.passage.title)[BEFORE_SENTENCES:]
        asked = np.maximum(search.index.asked_of(chunk.id, search.recall, len(texts)), cosines)
        for span, cosine, before, text in zip(chunk.sentences(), cosines, asked, texts, strict=True):
            place = (chunk.document, chunk.start + span.start)
            if place not in seen:
                seen.add(place)
                sentences.append((one, span, float(cosine), float(before), text))
    logits: dict[int, float] = {}
    if reranker is not None:
        nearest = sorted(range(len(sentences)), key=lambda at: -sentences[at][2] - sentences[at][3])[:RERANKED]
        pairs = [(search.asked, sentences[at][4]) for at in nearest]
        for at, said in zip(nearest, reranker.predict(pairs), strict=True):
            logits[at] = said["relevance"].score
    return [Evidence(*each[:4], logits.get(at)) for at, each in enumerate(sentences)]
