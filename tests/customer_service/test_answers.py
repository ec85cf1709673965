"""What a customer is told when the turn is small talk, when an article goes away midway, and of which templates."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator

import numpy as np
import pytest
from sqlalchemy import func, update

from apps.customer_service import tables
from apps.customer_service.answers import Answer, Turn
from apps.customer_service.bot import Bot
from apps.customer_service.completions import _events
from apps.customer_service.confidence import Confidence
from apps.customer_service.documents import Document
from apps.customer_service.examples import Told
from apps.customer_service.finder import Fusion
from apps.customer_service.ingest import take
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.logistic import Logistic
from apps.customer_service.models import Models
from apps.customer_service.past import Past
from apps.customer_service.templates import Templates, propose
from tests.customer_service.conftest import WordVectors

FREEZE = Document("freeze", "Freeze a card", "A frozen card refuses payments. Refunds still arrive.", "en", "freeze.md")
FEES = Document("fees", "Fees", "A trace of a transfer costs 15.00 (F-24).", "en", "fees.md")
ASKED = "does a frozen card refuse payments?"


@pytest.fixture
def sure(knowledge: Knowledge, embedder: WordVectors) -> Bot:
    """A bot that is sure of whatever comes near, by likeness of words alone."""
    likeness = np.zeros(11)
    likeness[[2, 8]] = 6.0
    sentence = Logistic((0.0,) * 11, (1.0,) * 11, tuple(likeness), -3.0)
    answer = Logistic((0.0,) * 18, (1.0,) * 18, (0.0,) * 18, 3.0)
    confidence = Confidence(sentence, answer, tuple(np.linspace(0, 0.5, 40)))
    models = Models("words", None, None, None, Fusion(), confidence, 0.3, Past())
    models.__dict__["embedder"] = embedder
    take([FREEZE, FEES], knowledge, embedder)
    return Bot(knowledge, models)


@pytest.mark.parametrize("text", ["thanks", "ok thanks", "bye", "hello", "谢谢", "好的，再见"])
@pytest.mark.parametrize("bar", [0.0, 1.1])
def test_small_talk_after_an_answer_is_not_answered_with_it_again(sure: Bot, text: str, bar: float) -> None:
    sure.bar = bar
    answer = sure.answer(text, [Turn("customer", ASKED), Turn("bot", sure.answer(ASKED).text)])
    assert (answer.kind, answer.citations) == ("talk", ())


class Writing:
    """Writes a text word by word; before a word something may happen."""

    name = "writing"

    def __init__(self, text: str, at: str, happens: Callable[[], object]) -> None:
        self.words, self.at, self.happens = text.split(), at, happens

    def pieces(self, messages: list[dict[str, str]]) -> Iterator[str]:
        for word in self.words:
            if word == self.at:
                self.happens()
            yield f"{word} "


WRITTEN = "A frozen card refuses payments. Refunds still arrive."


@pytest.mark.parametrize(("at", "streamed"), [("card", []), ("arrive.", ["A frozen card refuses payments."])])
def test_an_article_that_is_deleted_while_a_model_writes_is_not_quoted(sure: Bot, at: str, streamed: list[str]) -> None:
    sure.writer = Writing(WRITTEN, at, lambda: sure.knowledge.delete(["freeze"]))
    *said, answer = sure.stream(ASKED)
    assert said == streamed
    assert isinstance(answer, Answer)
    assert (answer.kind, answer.citations) == ("abstain", ())
    assert "payments" not in answer.text
    assert "Freeze a card" not in answer.text


def test_an_article_that_is_changed_while_a_model_writes_is_not_quoted_as_it_was(
    sure: Bot, embedder: WordVectors
) -> None:
    changed = Document("freeze", "Freeze a card", "A frozen card refuses most payments.", "en", "freeze.md")
    sure.writer = Writing(WRITTEN, "card", lambda: take([changed], sure.knowledge, embedder))
    assert sure.answer(ASKED).kind == "abstain"


def test_what_a_model_writes_is_told_while_its_sources_stand(sure: Bot) -> None:
    sure.writer = Writing(WRITTEN, "card", lambda: sure.knowledge.delete(["fees"]))
    answer = sure.answer(ASKED)
    assert (answer.kind, answer.text) == ("generated", WRITTEN)
    assert [one.document for one in answer.citations] == ["freeze", "freeze"]


def test_a_stream_parts_what_it_takes_back_from_what_it_says_instead() -> None:
    async def parts() -> AsyncIterator[str | Answer]:
        yield "It is free."
        yield Answer("I don't know.", "abstain")

    async def streamed() -> list[str]:
        return [event async for event in _events({}, parts())]

    events = [json.loads(event.removeprefix("data: ")) for event in asyncio.run(streamed())[:-1]]
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
    assert text == "It is free.\n\nI don't know."


def test_a_template_with_a_slot_that_nothing_fills_gives_way_to_the_article(sure: Bot) -> None:
    templates, version = Templates(sure.knowledge), {one.id: one.version for one in sure.knowledge.documents()}
    reply = Told("q", "It refuses payments.", "freeze", ("A frozen card refuses payments.",), None)
    templates.keep(propose([reply] * 2, version, sure.models.embedder))
    (one,) = templates.all()
    templates.approve(one.id, "A frozen card does not pay.")
    answer = sure.answer(ASKED)
    assert (answer.kind, answer.text) == ("template", "A frozen card does not pay.")
    # Approved by a release that took whatever stood in braces.
    with sure.knowledge.database.write() as connection:
        data = tables.templates.c.data
        renamed = func.replace(data, "A frozen card does", "Dear {CUSTOMER}, it does")
        connection.execute(update(tables.templates).values(data=renamed))
    assert templates.get(one.id).state == "approved"
    assert sure.answer(ASKED).kind == "extract"
