"""Understand: what kind of turn this is: a question, small talk, abuse, or the wish for a human."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.text.normalise import words

if TYPE_CHECKING:
    from engine import Predictor, Watch

TALK = ("greeting", "thanks", "goodbye", "abuse", "chit_chat")
"""Intents that are answered with a phrase and need no source."""
HUMAN = "human"
SURE = 0.6
"""Probability of all small talk together from which a turn is taken for such: below it, it is looked up like any
question. The same holds for the wish for a human."""

_PERSON = "human|agent|representative|operator|advis[oe]r|colleague"
_HUMAN = re.compile(
    rf"^\W*(?:a |an |real |live )*(?:{_PERSON}|person)(?: please)?\W*$"
    rf"|\b(?:talk|speak|chat|(?:connect|transfer|hand|put) (?:me|us))\b.{{0,30}}"
    rf"\b(?:{_PERSON}|person|people|someone|somebody|staff)\b"
    rf"|\b(?:want|need|get me|give me|prefer)\b.{{0,15}}\b(?:{_PERSON}|real person|live person)\b"
    r"|人工|真人|转接?客服|找客服",
    re.IGNORECASE,
)
_SAYINGS = {
    "greeting": "hi|hello|hey|hiya|good morning|good afternoon|good evening|hi there|hello there"
    "|你 好|您 好|在 吗|早 上 好",
    "thanks": "thanks|thank you|thx|ty|thanks a lot|thank you very much|cheers|great thanks|perfect thanks|ok thanks"
    "|谢 谢|多 谢|谢 谢 你|谢 谢 您",
    "goodbye": "bye|goodbye|bye bye|see you|good night|that s all|that's all|再 见|拜 拜",
}


@dataclass(frozen=True)
class Understood:
    intent: str | None
    """None: nobody has said, or nothing is sure."""
    probability: float

    @property
    def talk(self) -> bool:
        return self.intent in TALK


def understand(text: str, intents: Predictor | None, watch: Watch | None = None) -> Understood:
    """The intent of a turn. A wish for a human is heard whatever a model says; what remains is the model's.

    Args:
        watch: counts what the model is asked and answers, for `engine drift`.
    """
    if _HUMAN.search(text):
        return Understood(HUMAN, 1.0)
    said = " ".join(words(text))
    for intent, sayings in _SAYINGS.items():
        if said in sayings.split("|"):
            return Understood(intent, 1.0)
    if intents is None or not said:
        return Understood(None, 0.0)
    (found,) = intents.predict([text])
    if watch is not None:
        watch.seen(found.model, [found], [text])
    answer = found["intent"]
    talk = {label: float(answer.probabilities.get(label, 0.0)) for label in TALK}
    if (sure := sum(talk.values())) >= SURE:
        return Understood(max(talk, key=lambda label: talk[label]), sure)
    probability = float(answer.probabilities[answer.label])
    if answer.label in TALK or (answer.label == HUMAN and probability < SURE):
        return Understood(None, probability)
    return Understood(answer.label, probability)
