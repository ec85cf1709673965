"""Question: a customer's turn with what was said before it, as the texts that are searched for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from apps.customer_service.answers import Turn
from engine.text.languages import detect
from engine.text.terms import terms

MAX_LETTERS = 2_000
"""Of a turn; what a customer writes beyond it is not read."""
_OPENS = re.compile(
    r"^(?:(?:and|but|so|or|also|then|ok(?:ay)?|what about|how about|what if|same|even|does (?:it|that|this)"
    r"|is (?:it|that))\b|那|还有|如果|要是|它|这个)",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"\b(?:it|its|that|this|these|those|they|them|there|one|ones|other|another|instead|too|either|same|then|again)\b"
    r"|它|这|那|呢",
    re.IGNORECASE,
)

_ASKS = re.compile(
    r"[?？\d]|\b(?:how|why|which)\b|^(?:when|where|what|who|whose)\b|吗|呢|什么|怎么|为何|多少|多久|哪|几",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Question:
    text: str
    history: tuple[Turn, ...] = ()

    @classmethod
    def of(cls, text: str, history: Sequence[Turn] = ()) -> Question:
        """Whitespace is made plain and what is too long is cut."""
        return cls(" ".join(text.split())[:MAX_LETTERS], tuple(history))

    @property
    def lang(self) -> str:
        """English where it cannot be told."""
        found = detect(self.text) or "en"
        return found if found == "zh" else "en"

    def before(self) -> list[str]:
        """What the customer asked before, the latest first, without what says nothing ("thanks")."""
        asked = [turn.text for turn in reversed(self.history) if turn.role == "customer"]
        return [" ".join(text.split())[:MAX_LETTERS] for text in asked if len(terms(text)) > 1]

    def rewritten(self) -> str | None:
        """The turn made whole by what it leans on: the customer's question before it put in front; None without one.

        A turn that leans on another that leans on a third takes both.
        """
        before = self.before()
        if not before:
            return None
        leading = [before[0]]
        for earlier in before[1:3]:
            if not leans(leading[0]):
                break
            leading.insert(0, earlier)
        return " ".join([*leading, self.text])

    def leaning(self) -> bool:
        """Whether the turn may lean on those before it."""
        return bool(self.before()) and leans(self.text)

    def continues(self) -> bool:
        """Whether the turn goes on from those before it even where it looks like small talk: being short is not enough,
        it has to open as a continuation, point back or ask."""
        opens, points, _ = look(self.text)
        return self.leaning() and (opens or points or asks(self.text))


def leans(text: str) -> bool:
    """Whether a text reads as the continuation of another: it opens as one, points back, or names next to nothing."""
    opens, points, count = look(text)
    return opens or points or count < 4


def look(text: str) -> tuple[bool, bool, int]:
    """(opens as a continuation, points back, different terms)."""
    return bool(_OPENS.search(text)), bool(_POINTS.search(text)), len(set(terms(text)))


def asks(text: str) -> bool:
    """Whether a text is put as a question, or names a number as questions do."""
    return bool(_ASKS.search(text))
