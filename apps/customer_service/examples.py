"""Examples: training rows out of past dialogues.

Nobody labels which sentence of an article an agent answered from. It is found: the sentence of the named article that
says what the agent said, by cosine and by terms. Questions that ended without an answer teach what is no answer.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.customer_service.chunks import cut
from apps.customer_service.dialogues import Dialogue
from apps.customer_service.documents import Document
from apps.customer_service.past import Exchange
from apps.customer_service.question import Question
from apps.customer_service.units import BEFORE_SENTENCES, units
from apps.customer_service.writer import SHOWN, prompt
from engine import Embedder
from engine.text.terms import terms

SAME = 0.5
"""Cosine and share of terms, together, from which a sentence is taken to say what the agent said."""
TERMS = 0.5
"""Weight of the share of the reply's terms that the sentence has, beside its cosine with question and reply."""
ALSO = 0.03
"""A second sentence this close to the first is a positive as well."""
HARD, SIBLINGS = 2, 1
"""Wrong sentences a question: the nearest of other articles, and of the same article."""


@dataclass(frozen=True)
class Told:
    """An agent's reply and what it was taken from."""

    question: str
    reply: str
    document: str
    sentences: tuple[str, ...]
    intent: str | None


@dataclass
class Examples:
    told: list[Told] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    """Questions that nobody could answer."""
    intents: list[dict[str, Any]] = field(default_factory=list)
    """question, intent."""
    unaligned: int = 0
    """Replies that no sentence of their article says: nothing is taken from them."""

    def past(self) -> list[Exchange]:
        """What the bot remembers."""
        answered = [Exchange(one.question, one.document, said) for one in self.told for said in one.sentences]
        return [*answered, *(Exchange(text, None, "") for text in self.unanswered)]


def sentences(documents: Sequence[Document]) -> Iterator[tuple[str, str, str]]:
    """(document, sentence, the text that the search holds of it); where chunks overlap, a sentence twice."""
    for document in documents:
        for chunk in cut(document):
            said = (span.of(chunk.text) for span in chunk.sentences())
            for bare, unit in zip(said, units(chunk, document.title)[BEFORE_SENTENCES:], strict=True):
                yield document.id, bare, unit


class Sentences:
    """Every sentence of the articles, as the unit that the search holds of it."""

    def __init__(self, documents: Sequence[Document], embedder: Embedder) -> None:
        once = {unit: (document, bare) for document, bare, unit in sentences(documents)}
        self.units = list(once)
        self.document = [document for document, _ in once.values()]
        self.bare = [bare for _, bare in once.values()]
        self.vectors = embedder.embed(self.units, side="pair")
        self._of = np.array(self.document)

    def of(self, document: str) -> NDArray[np.int64]:
        return np.flatnonzero(self._of == document)


def make(dialogues: Sequence[Dialogue], documents: Sequence[Document], embedder: Embedder) -> Examples:
    """What the dialogues say about these documents."""
    held = Sentences(documents, embedder)
    known = set(held.document)
    made = Examples()
    for dialogue in dialogues:
        if dialogue.intent:
            made.intents.append({"question": dialogue.question, "intent": dialogue.intent})
        for history, asked, told in dialogue.exchanges():
            question = Question.of(asked, history)
            text = (question.rewritten() if question.leaning() else None) or question.text
            if not dialogue.resolved:
                made.unanswered += [] if history else [text]
            elif dialogue.article is None or dialogue.article not in known:
                made.unaligned += 1
            elif right := _aligned(text, told, held.of(dialogue.article), held, embedder):
                said = tuple(held.bare[at] for at in right)
                made.told.append(Told(text, told, dialogue.article, said, dialogue.intent))
            else:
                made.unaligned += 1
    return made


def pairs(made: Examples, documents: Sequence[Document], *, seed: int = 13) -> list[dict[str, Any]]:
    """question, passage, article: for the embedder. A question belongs to the sentence that answered it, and to another
    question that the same sentence answered."""
    unit = {(document, bare): text for document, bare, text in sentences(documents)}
    rows, by_sentence = [], defaultdict(list)
    for one in made.told:
        for said in one.sentences:
            by_sentence[one.document, said].append(one.question)
            rows.append({"question": one.question, "passage": unit[one.document, said], "article": one.document})
    draw = random.Random(seed)
    for (document, _), asked in by_sentence.items():
        questions = list(dict.fromkeys(asked))
        draw.shuffle(questions)
        rows += [
            {"question": first, "passage": second, "article": document}
            for first, second in itertools.pairwise(questions)
        ]
    return rows


def judged(made: Examples, held: Sentences, embedder: Embedder) -> list[dict[str, Any]]:
    """question, passage, relevance 0 or 1: for the cross-encoder; what is wrong is what the embedder would take."""
    at_of = {(document, bare): at for at, (document, bare) in enumerate(zip(held.document, held.bare, strict=True))}
    rows = []
    for one, vector in zip(made.told, embedder.stream([one.question for one in made.told]), strict=True):
        right = [at_of[one.document, said] for said in one.sentences]
        nearest = np.argsort(-(held.vectors @ vector), kind="stable")
        others = [at for at in nearest if held.document[at] != one.document][:HARD]
        siblings = [at for at in nearest if held.document[at] == one.document and at not in right][:SIBLINGS]
        rows += [_row(one.question, held.units[at], 1) for at in right]
        rows += [_row(one.question, held.units[at], 0) for at in (*others, *siblings)]
    for text, vector in zip(made.unanswered, embedder.stream(made.unanswered), strict=True):
        nearest = np.argsort(-(held.vectors @ vector), kind="stable")
        rows += [_row(text, held.units[at], 0) for at in nearest[: HARD + SIBLINGS]]
    return rows


def written(made: Examples, documents: Sequence[Document], embedder: Embedder) -> list[dict[str, str]]:
    """text, answer, article: for a chat model, which is given what the search would find and says what the agent said.

    The right sentences stand among the nearest ones in the order of the search, so that their place tells nothing.
    """
    held = Sentences(documents, embedder)
    rows = []
    for one in made.told:
        nearest = np.argsort(-(held.vectors @ embedder.embed([one.question])[0]), kind="stable")[:SHOWN]
        sources = list(dict.fromkeys(held.bare[at] for at in nearest))
        if missing := [said for said in one.sentences if said not in sources]:
            sources[-len(missing) :] = missing
        (message,) = prompt(one.question, sources)
        rows.append({"text": message["content"], "answer": one.reply, "article": one.document})
    return rows


def _aligned(question: str, told: str, own: NDArray[np.int64], held: Sentences, embedder: Embedder) -> list[int]:
    """The sentences of the article that say what the agent said: the nearest, and others about as near.

    Args:
        own: the article's sentences.
    """
    # The question belongs to it: "That isn't possible" alone says little.
    cosines = held.vectors[own] @ embedder.embed([f"{question} {told}"])[0]
    said = set(terms(told))
    shares = np.array([len(said & set(terms(held.bare[at]))) / max(len(said), 1) for at in own])
    scores = cosines + TERMS * shares
    return [int(own[at]) for at in np.flatnonzero((scores >= scores.max() - ALSO) & (scores >= SAME))]


def _row(question: str, passage: str, relevance: int) -> dict[str, Any]:
    return {"question": question, "passage": passage, "relevance": relevance}
