"""Understand: what kind of turn this is: a question, small talk, abuse, or the wish for a human."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.customer_service.question import asks
from apps.customer_service.sayings import polite, saying
from apps.customer_service.wish import wishes_human
from engine.text.normalise import words

if TYPE_CHECKING:
    from engine import Predictor, Watch

TALK = ("greeting", "thanks", "goodbye", "abuse", "chit_chat")
"""Intents that are answered with a phrase and need no source."""
HUMAN = "human"
SURE = 0.6
"""Probability of all small talk together from which a turn is taken for such: below it, it is looked up like any
question. The same holds for the wish for a human."""


@dataclass(frozen=True)
class Understood:
    intent: str | None
    """None: nobody has said, or nothing is sure."""
    probability: float
    plain: bool = False
    """Whether its words say so by themselves, whatever went before them."""

    @property
    def talk(self) -> bool:
        return self.intent in TALK


def understand(text: str, intents: Predictor | None, watch: Watch | None = None) -> Understood:
    """The intent of a turn. A wish for a human is heard whatever a model says; what remains is the model's.

    Args:
        watch: counts what the model is asked and answers, for `engine drift`.
    """
    if wishes_human(text):
        return Understood(HUMAN, 1.0, plain=True)
    if said := saying(text):
        return Understood(said, 1.0, plain=True)
    if intents is None or not words(text):
        return Understood(None, 0.0)
    (found,) = intents.predict([text])
    if watch is not None:
        watch.seen(found.model, [found], [text])
    answer = found["intent"]
    talk = {label: float(answer.probabilities.get(label, 0.0)) for label in TALK}
    if (sure := sum(talk.values())) >= SURE:
        return Understood(max(talk, key=lambda label: talk[label]), sure, plain=polite(text) and not asks(text))
    probability = float(answer.probabilities[answer.label])
    if answer.label in TALK or (answer.label == HUMAN and probability < SURE):
        return Understood(None, probability)
    return Understood(answer.label, probability)
