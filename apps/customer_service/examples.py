"""Examples: training rows out of past dialogues.

Nobody labels which sentence of an article an agent answered from. It is found: the sentence of the named article that
says the same as the agent, by cosine. Questions that ended without an answer teach what is no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.customer_service.chunks import cut
from apps.customer_service.dialogues import Dialogue
from apps.customer_service.documents import Document
from apps.customer_service.question import Question
from apps.customer_service.units import BEFORE_SENTENCES, units
from engine import Embedder
from engine.text.sentences import sentences

SAME = 0.5
"""Cosine from which a sentence of the article is taken to say what the agent said."""
ASKED = 0.3
"""Weight of the question's cosine beside the reply's: "That isn't possible" alone says little."""
ALSO = 0.03
"""A second sentence this close to the first is a positive as well."""
HARD, SIBLINGS = 6, 3
"""Wrong sentences a question: the nearest of other articles, and of the same article."""


@dataclass
class Examples:
    rank: list[dict[str, Any]] = field(default_factory=list)
    """question, passage, relevance 0 or 1: for the cross-encoder."""
    pairs: list[dict[str, Any]] = field(default_factory=list)
    """question, passage, article: for the embedder."""
    intents: list[dict[str, Any]] = field(default_factory=list)
    """question, intent."""
    unaligned: int = 0
    """Replies that no sentence of their article says: nothing is taken from them."""


class Sentences:
    """Every sentence of the articles, as the unit that the search holds of it."""

    def __init__(self, documents: Sequence[Document], embedder: Embedder) -> None:
        self.units: list[str] = []
        self.bare: list[str] = []
        self.document: list[str] = []
        for document in documents:
            for chunk in cut(document):
                said = [span.of(chunk.text) for span in chunk.sentences()]
                self.bare += said
                self.units += units(chunk, document.title)[BEFORE_SENTENCES:]
                self.document += [document.id] * len(said)
        first = {unit: at for at, unit in reversed(list(enumerate(self.units)))}
        kept = sorted(first.values())  # overlapping chunks hold some sentences twice
        self.units, self.bare, self.document = (
            [values[at] for at in kept] for values in (self.units, self.bare, self.document)
        )
        self.vectors = embedder.embed(self.units, side="pair")
        self.bare_vectors = embedder.embed(self.bare, side="pair")
        self._of = np.array(self.document)

    def of(self, document: str) -> NDArray[np.int64]:
        return np.flatnonzero(self._of == document)


def make(dialogues: Sequence[Dialogue], documents: Sequence[Document], embedder: Embedder) -> Examples:
    """The rows that the dialogues give over these documents."""
    held = Sentences(documents, embedder)
    known = set(held.document)
    made = Examples()
    for dialogue in dialogues:
        if dialogue.intent:
            made.intents.append({"question": dialogue.question, "intent": dialogue.intent})
        for history, asked, told in dialogue.exchanges():
            question = Question.of(asked, history)
            text = (question.rewritten() if question.leaning() else None) or question.text
            vector = embedder.embed([text])[0]
            nearest = np.argsort(-(held.vectors @ vector), kind="stable")
            if not dialogue.resolved:
                if not history:
                    made.rank += [_row(text, held.units[at], 0) for at in nearest[:HARD]]
                continue
            if dialogue.article not in known:
                made.unaligned += 1
                continue
            right = _aligned(told, vector, dialogue.article, held, embedder)
            if not right:
                made.unaligned += 1
                continue
            others = [at for at in nearest if held.document[at] != dialogue.article][:HARD]
            siblings = [at for at in nearest if held.document[at] == dialogue.article and at not in right][:SIBLINGS]
            made.rank += [_row(text, held.units[at], 1) for at in right]
            made.rank += [_row(text, held.units[at], 0) for at in (*others, *siblings)]
            made.pairs += [{"question": text, "passage": held.units[at], "article": dialogue.article} for at in right]
    return made


def _aligned(
    told: str, asked: NDArray[np.float32], article: str | None, held: Sentences, embedder: Embedder
) -> list[int]:
    """The sentences of the article that say what the agent said: the nearest, and others about as near.

    Args:
        asked: the question's vector.
    """
    own = held.of(str(article))
    said = embedder.embed([told, *(span.of(told) for span in sentences(told))])
    cosines = (held.bare_vectors[own] @ said.T).max(1)
    scores = cosines + ASKED * (held.vectors[own] @ asked)
    return [int(own[at]) for at in np.flatnonzero((scores >= scores.max() - ALSO) & (cosines >= SAME))]


def _row(question: str, passage: str, relevance: int) -> dict[str, Any]:
    return {"question": question, "passage": passage, "relevance": relevance}
