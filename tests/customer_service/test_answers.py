"""What a customer is told when the turn is small talk, when an article goes away midway, and of which templates."""

from __future__ import annotations

import numpy as np
import pytest

from apps.customer_service.answers import Turn
from apps.customer_service.bot import Bot
from apps.customer_service.confidence import Confidence
from apps.customer_service.documents import Document
from apps.customer_service.finder import Fusion
from apps.customer_service.ingest import take
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.logistic import Logistic
from apps.customer_service.models import Models
from apps.customer_service.past import Past
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
