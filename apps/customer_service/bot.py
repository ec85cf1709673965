"""Bot: one question in, one answer out; the road that every face of support-bot takes.

understand ──talk──> phrase
    └─question─> find ─> gather evidence ─> confident enough? ─no─> "I don't know", with what came closest
                                                  └─yes─> reviewed template, or what a chat model writes and the
                                                          evidence supports, or an extract; each with citations
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.customer_service import extract
from apps.customer_service.answerable import log_odds
from apps.customer_service.answers import Answer, Citation, Turn
from apps.customer_service.evidence import Evidence, gather
from apps.customer_service.finder import Finder, Search
from apps.customer_service.grounding import Grounds, complete
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.logistic import Values
from apps.customer_service.models import NAME, Models
from apps.customer_service.phrases import phrase
from apps.customer_service.question import Question
from apps.customer_service.templates import Template, Templates
from apps.customer_service.understand import HUMAN, Understood, understand
from apps.customer_service.writer import SHOWN, Writer, prompt
from engine import Store
from engine.errors import InputError, KeelError

if TYPE_CHECKING:
    from engine import Watch
    from engine.db import Database

_LOG = logging.getLogger("keel.support")
NEAREST = 3
"""Articles that are named when the bot does not know."""


@dataclass(frozen=True)
class Looked:
    """What was found out about a question before it is answered."""

    search: Search
    evidence: list[Evidence]
    scores: Values
    """How well each sentence answers, 0 to 1, shape (sentences,)."""
    confidence: float
    """Probability that there is an answer."""

    def articles(self) -> list[str]:
        """Documents, the one with the best sentence first."""
        return extract.articles(self.evidence, self.scores)


class Bot:
    """Answers from one tenant's knowledge; threads may share it.

    Args:
        error_rate: share of the questions without an answer that may be answered all the same.
        writer: a chat model that words the answers; without one they are quoted.
        watch: counts what the intents are asked and answer, for `engine drift`; who gave it closes it.
        lag_s: seconds by which answers may be behind the knowledge, as `Finder` takes it.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        models: Models,
        *,
        error_rate: float = 0.05,
        writer: Writer | None = None,
        watch: Watch | None = None,
        lag_s: float = 0.0,
    ) -> None:
        self.knowledge = knowledge
        self.models = models
        self.writer = writer
        self.watch = watch
        self.templates = Templates(knowledge)
        self.bar = models.confidence.bar(error_rate)
        self.finder = Finder(knowledge, models.embedder, models.fusion, models.past, lag_s=lag_s)

    def answer(self, text: str, history: Sequence[Turn] = (), *, alone: bool = False) -> Answer:
        """What to tell the customer, as `stream` takes it; `kind` "handoff" when a human is wished for."""
        *_, answer = self.stream(text, history, alone=alone)
        assert isinstance(answer, Answer)
        return answer

    def stream(self, text: str, history: Sequence[Turn] = (), *, alone: bool = False) -> Iterator[str | Answer]:
        """The sentences of an answer that a chat model writes, each once a source supports it; at the end the answer
        itself. Of other answers only that.

        Args:
            alone: nobody can be handed over to from where this is said, so that no person is promised.
        """
        question = Question.of(text, history)
        lang = question.lang
        if not question.text:
            yield Answer(phrase("empty", lang), "talk")
            return
        understood = understand(question.text, self.models.intents, self.watch)
        why: dict[str, Any] = {"intent": understood.intent, "intent_probability": round(understood.probability, 4)}
        if understood.intent == HUMAN:
            yield Answer(phrase("handed_over", lang, alone=alone), "handoff", models=self.models.names(), why=why)
        elif understood.talk and (understood.plain or not question.continues()):
            said = phrase(str(understood.intent), lang, alone=alone)
            yield Answer(said, "talk", models=self.models.names(), why=why)
        else:
            yield from self._told(question, self.look(question), why, alone)

    def stale(self) -> bool:
        """Whether the index has been swapped for another embedder's since: its vectors mean nothing to these models."""
        return self.knowledge.embedder() != self.models.embedder.model

    def refresh(self) -> None:
        """Have the caches made anew if the knowledge has changed."""
        if not self.stale():
            self.finder.index()

    def warm(self) -> None:
        """Load the models and make the caches now rather than at the first question."""
        self.look(Question.of("Is everything ready?"))
        understand("Is everything ready?", self.models.intents)

    def look(self, question: Question) -> Looked:
        """Search, read, and weigh how sure that is."""
        search = self.finder.find(question)
        evidence = gather(search, self.models.reranker)
        answerable = log_odds(search.asked, evidence, self.models.answerable)
        return Looked(search, evidence, *self.models.confidence.weigh(search, evidence, answerable))

    def _told(self, question: Question, looked: Looked, why: dict[str, Any], alone: bool) -> Iterator[str | Answer]:
        why |= {
            "question": looked.search.asked,
            "bar": round(self.bar, 4),
            "passages": [
                {
                    "document": one.passage.chunk.document,
                    "heading": one.passage.chunk.heading,
                    "score": round(one.score, 4),
                    "cosine": round(one.dense, 4),
                    "bm25": round(one.lexical, 4),
                }
                for one in looked.search.found[:5]
            ],
        }
        names = self.models.names()
        chosen = extract.choose(looked.evidence, looked.scores) if looked.confidence >= self.bar else []
        if not chosen:
            yield self._unknown(question, looked, why, alone)
            return
        if found := self._template(looked, why["intent"]):
            template, cited = found
            why["template"] = template.id
            yield Answer(template.filled(), "template", cited, looked.confidence, names, why)
            return
        if self.writer is not None:
            said, cited = yield from self._written(self.writer, question, looked, why)
            if said:
                text = " ".join(said)
                yield Answer(text, "generated", cited, looked.confidence, (*names, self.writer.name), why)
                return
        if not (chosen := self._standing(chosen)):
            yield self._unknown(question, looked, why, alone)
            return
        citations = tuple(one.citation() for one in chosen)
        text = " ".join(" ".join(one.text.split()) for one in chosen)
        yield Answer(text, "extract", citations, looked.confidence, names, why)

    def _unknown(self, question: Question, looked: Looked, why: dict[str, Any], alone: bool) -> Answer:
        """ "I don't know", with the articles that came closest."""
        titles = {one.passage.chunk.document: one.passage.title for one in self._standing(looked.evidence)}
        nearest = [titles[document] for document in looked.articles() if document in titles][:NEAREST]
        why["nearest"] = nearest
        text = phrase("abstain_near" if nearest else "abstain", question.lang, alone=alone)
        listed = "".join(f"\n- {title}" for title in nearest)
        return Answer(text + listed, "abstain", (), looked.confidence, self.models.names(), why)

    def _standing(self, evidence: Sequence[Evidence]) -> list[Evidence]:
        """Those whose passage is in the database still, as it was read: an article may go or change meanwhile."""
        with self.knowledge.database.read() as connection:
            live = self.knowledge.live(connection, [one.passage.chunk.id for one in evidence])
        return [one for one in evidence if live.get(one.passage.chunk.id) == one.passage]

    def _written(
        self, writer: Writer, question: Question, looked: Looked, why: dict[str, Any]
    ) -> Generator[str, None, tuple[list[str], tuple[Citation, ...]]]:
        """The sentences that the writer wrote and a source supports that still stands, and those sources."""
        order = np.argsort(-looked.scores, kind="stable")[:SHOWN]
        sources = [looked.evidence[at] for at in order]
        texts = [one.text for one in sources]
        grounds = Grounds.of(texts, self.models.embedder, self.models.grounding)
        said: dict[str, Evidence] = {}
        dropped = 0
        try:
            pieces = writer.pieces(prompt(question.text, texts, question.history))
            for sentence in complete(pieces):
                at = grounds.support(sentence)
                if at is None or sentence in said or not self._standing([sources[at]]):
                    dropped += 1
                    continue
                said[sentence] = sources[at]
                yield sentence
        except KeelError as fault:
            _LOG.warning("%s; the answer is quoted instead", fault)
            why["writer_fault"] = str(fault)
        why |= {"written": len(said) + dropped, "unsupported": dropped}
        standing = self._standing(list(said.values()))
        kept = {sentence: source for sentence, source in said.items() if source in standing}
        return list(kept), tuple(dict.fromkeys(source.citation() for source in kept.values()))

    def _template(self, looked: Looked, intent: str | None) -> tuple[Template, tuple[Citation, ...]] | None:
        """The reviewed answer that stands on the best sentence, if the customer's intent is that of its questions."""
        best = looked.evidence[int(np.argmax(looked.scores))]
        document = best.passage.chunk.document
        template = self.templates.of(document, best.text)
        if template is None or template.strange() or template.version != best.passage.version:
            return None
        if template.intent not in (None, intent):
            return None
        own = {one.text: one.citation() for one in looked.evidence if one.passage.chunk.document == document}
        cited = tuple(own[sentence] for sentence in template.sentences if sentence in own)
        return (template, cited) if len(cited) == len(template.sentences) else None


def ready(
    database: Database,
    tenant: str,
    error_rate: float,
    writer: Writer | None = None,
    watch: Watch | None = None,
    *,
    lag_s: float = 0.0,
) -> Bot:
    """A tenant's bot with the champion's models; what is given is as `Bot` takes it.

    Raises:
        InputError: it has no articles, is not trained, or its index is another model's; the message tells the way out.
    """
    knowledge = Knowledge(database, tenant)
    if not knowledge.counts()[0]:
        raise InputError("the bot has no articles to answer from; run: support-bot ingest PATH")
    if not Store().has(NAME):
        raise InputError("the bot is not trained yet; run: support-bot train")
    models = Models.champion()
    if (live := knowledge.embedder()) != (wanted := models.embedder.model):
        raise InputError(f"the index was made by {live}, the bot uses {wanted}; run: support-bot reindex")
    return Bot(knowledge, models, error_rate=error_rate, writer=writer, watch=watch, lag_s=lag_s)


__all__ = ["Bot", "Looked", "Understood", "ready"]
