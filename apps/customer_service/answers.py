"""Answers: what a customer is told, where each part of it stands, and how sure the bot is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["template", "extract", "generated", "abstain", "handoff", "talk"]
"""talk: a greeting, thanks and the like, which need no source."""


@dataclass(frozen=True)
class Citation:
    """`document` at `version`, characters `start` to `end` of its text: `quote`."""

    document: str
    version: str
    start: int
    end: int
    quote: str
    title: str


@dataclass(frozen=True)
class Answer:
    text: str
    kind: Kind
    citations: tuple[Citation, ...] = ()
    confidence: float = 0.0
    """Calibrated probability that the knowledge answers the question."""
    models: tuple[str, ...] = ()
    """Name and version of each model that had a part in it."""
    why: dict[str, Any] = field(default_factory=dict)
    """What decided: the intent, the question as it was searched for, the best passages with their scores."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "kind": self.kind,
            "citations": [vars(one) for one in self.citations],
            "confidence": round(self.confidence, 4),
            "models": list(self.models),
            "why": self.why,
        }


@dataclass(frozen=True)
class Turn:
    """One message of a conversation; the bot's and the agents' are both the company's, told apart by `role`."""

    role: Literal["customer", "bot", "agent"]
    text: str
