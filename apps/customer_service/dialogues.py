"""Dialogues: what customers asked in the past and what agents told them; personal data masked as they are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.customer_service.answers import Turn
from apps.customer_service.documents import Rejected
from engine.errors import InputError
from engine.text.pii import mask


@dataclass(frozen=True)
class Dialogue:
    id: str
    turns: tuple[Turn, ...]
    resolved: bool
    article: str | None
    """Id of the document that the agent answered from; None where that is not known, or there is none."""
    intent: str | None

    @property
    def question(self) -> str:
        return self.turns[0].text

    def exchanges(self) -> list[tuple[tuple[Turn, ...], str, str]]:
        """(what was said before, the customer's turn, the agent's reply) for each reply."""
        return [
            (self.turns[:at], asked.text, told.text)
            for at, (asked, told) in enumerate(zip(self.turns, self.turns[1:], strict=False))
            if asked.role == "customer" and told.role == "agent"
        ]


KINDS = ("answerable", "unanswerable", "follow_up", "small_talk", "abuse", "human", "injection", "contested")
"""Of labelled questions; "contested" ones count for nothing."""


@dataclass(frozen=True)
class Asked:
    """A labelled question: where its answer stands, or that there is none."""

    id: str
    kind: str
    text: str
    lang: str
    history: tuple[Turn, ...]
    article: str | None
    also: tuple[str, ...]
    sentences: tuple[str, ...]
    exact: bool

    @property
    def articles(self) -> set[str]:
        return {*self.also, *([self.article] if self.article else [])}


def read_dialogues(path: Path) -> tuple[list[Dialogue], list[Rejected]]:
    """JSON lines `{"id", "turns": [{"role", "text"}], "resolved", "article"?, "intent"?}`.

    Raises:
        InputError: the file cannot be read, or holds no dialogue.
    """
    found, rejected = [], []
    for line, raw, value in _lines(path):
        try:
            found.append(
                Dialogue(
                    _text(value, "id"),
                    _turns(value.get("turns"), "turns"),
                    bool(value.get("resolved", True)),
                    value.get("article"),
                    value.get("intent"),
                )
            )
        except ValueError as fault:
            rejected.append(Rejected(str(path), line, str(fault), raw))
    if not found:
        raise InputError(f"{path}: no dialogue in it ({rejected[0].reason if rejected else 'it is empty'})")
    return found, rejected


def read_questions(path: Path) -> list[Asked]:
    """JSON lines as in data/support/queries (see data/README.md).

    Raises:
        InputError: the file cannot be read, or a line is no labelled question; the message names it.
    """
    found = []
    for line, _, value in _lines(path):
        try:
            history = _turns(value["history"], "history") if value.get("history") else ()
            found.append(
                Asked(
                    _text(value, "id"),
                    _kind(value),
                    _text(value, "text"),
                    str(value.get("lang") or "en"),
                    history,
                    _text(value, "article") if value.get("article") is not None else None,
                    _texts(value, "also"),
                    _texts(value, "sentences"),
                    _flag(value, "exact"),
                )
            )
        except ValueError as fault:
            raise InputError(f"{path}, line {line}: {fault}") from None
    return found


def _lines(path: Path) -> list[tuple[int, str, dict[str, Any]]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"{path}: not readable as UTF-8 text ({fault})") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            found.append((number, line, value if isinstance(value, dict) else {}))
    return found


def _text(value: dict[str, Any], field: str) -> str:
    if not isinstance(found := value.get(field), str) or not found.strip():
        raise ValueError(f"field '{field}' is missing or no text")
    return found


def _kind(value: dict[str, Any]) -> str:
    if (found := _text(value, "kind")) not in KINDS:
        raise ValueError(f"kind {found!r} is none of {', '.join(KINDS)}")
    return found


def _texts(value: dict[str, Any], field: str) -> tuple[str, ...]:
    """A text in place of the list would be read letter by letter, and an empty one stands in every sentence."""
    found = value.get(field) or []
    if not isinstance(found, list) or not all(isinstance(one, str) and one.strip() for one in found):
        raise ValueError(f"field '{field}' is no list of texts")
    return tuple(found)


def _flag(value: dict[str, Any], field: str) -> bool:
    if (found := value.get(field)) not in (None, True, False):
        raise ValueError(f"field '{field}' is neither true nor false")
    return bool(found)


def _turns(value: Any, field: str) -> tuple[Turn, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"field '{field}' is missing; it lists turns as {{role, text}}")
    found = []
    for at, turn in enumerate(value, 1):
        role, text = (turn.get("role"), turn.get("text")) if isinstance(turn, dict) else (None, None)
        if role not in ("customer", "agent", "bot") or not isinstance(text, str) or not text.strip():
            raise ValueError(f"field '{field}', turn {at}: role is customer, agent or bot, and text is not empty")
        found.append(Turn(role, mask(text)[0]))
    if found[0].role != "customer":
        raise ValueError(f"field '{field}' begins with a customer's turn")
    return tuple(found)
