"""Tag: entities in a text, each a span of characters with a type, by BIO labels of the tokens.

The label of a word is that of its first token, so an entity never begins or ends inside a word; every Chinese
character is a word of its own. An entity counts as found when its span and type are exact, as in CoNLL and seqeval.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import BadRow, Row
from engine.evaluate.calibration import fit_temperature, probabilities
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Metric, Output
from engine.text.normalise import CJK

Span = tuple[int, int, str]


@dataclass(frozen=True)
class Entity:
    start: int
    end: int
    """Characters of the text, end exclusive."""
    label: str
    text: str
    probability: float
    """The lowest over the entity's words."""


@dataclass(frozen=True)
class Entities:
    entities: tuple[Entity, ...]


class Tags:
    main = "span_f1"

    def read(self, head: HeadSpec, value: Any, column: str, text: str, pair: str | None) -> tuple[Span, ...] | None:
        if value is None or value == "":
            return None
        if not isinstance(value, list | tuple):
            raise BadRow(f"field '{column}' is {type(value).__name__}; give a list of {{start, end, label}}")
        return tuple(sorted(_span(entity, head, column, text) for entity in value))

    def temperature(self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output]) -> float:
        logits, truth = [], []
        for row, output in zip(rows, outputs, strict=True):
            labels = token_labels(head, row.labels[head.name], row.text, output.offsets, output.parts)
            logits.append(output.logits[labels >= 0])
            truth.append(labels[labels >= 0])
        return fit_temperature(np.concatenate(logits), np.concatenate(truth), multi_label=False)

    def metrics(
        self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output], temperature: float
    ) -> dict[str, Metric]:
        hits, given, real = (np.zeros(len(rows)) for _ in range(3))
        for place, (row, output) in enumerate(zip(rows, outputs, strict=True)):
            found = {(e.start, e.end, e.label) for e in decode(head, output, temperature, row.text)}
            truth = set(row.labels[head.name])
            hits[place], given[place], real[place] = len(found & truth), len(found), len(truth)

        def span_f1(over: NDArray[np.intp]) -> float:
            total = given[over].sum() + real[over].sum()
            return float(2 * hits[over].sum() / total) if total else 1.0

        return {
            "span_f1": span_f1,
            "precision": lambda over: float(hits[over].sum() / max(1.0, given[over].sum())),
            "recall": lambda over: float(hits[over].sum() / max(1.0, real[over].sum())),
        }

    def answer(self, head: HeadSpec, output: Output, temperature: float, text: str, pair: str | None) -> Entities:
        return Entities(tuple(decode(head, output, temperature, text)))


def token_labels(
    head: HeadSpec, spans: Sequence[Span], text: str, offsets: NDArray[np.int64] | None, parts: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """BIO label number of each token that begins a word (0 is O, 2k+1 B and 2k+2 I of type k); -100 elsewhere."""
    assert offsets is not None
    assert parts is not None
    labels = np.full(len(offsets), -100, dtype=np.int64)
    for token in word_starts(text, offsets, parts):
        start = offsets[token, 0]
        labels[token] = 0
        for from_, to, label in spans:
            if from_ <= start < to:
                # Words before the span's first whole word never lie inside it, so the first word met is its beginning.
                kind = 2 * head.labels.index(label)
                inside = any(
                    from_ <= offsets[other, 0] < start and labels[other] > 0
                    for other in range(token)
                    if parts[other] == 0
                )
                labels[token] = kind + (2 if inside else 1)
    return labels


def decode(head: HeadSpec, output: Output, temperature: float, text: str) -> list[Entity]:
    """Entities of a text, left to right; an I without its B begins an entity, as CoNLL's scorer reads it."""
    assert output.offsets is not None
    assert output.parts is not None
    starts = word_starts(text, output.offsets, output.parts)
    probs = probabilities(output.logits, temperature, multi_label=False) if len(starts) else output.logits
    found: list[Entity] = []
    open_: tuple[int, int, str, float] | None = None
    for place, token in enumerate(starts):
        last = starts[place + 1] if place + 1 < len(starts) else len(output.parts)
        mine = [other for other in range(token, last) if output.parts[other] == 0]
        start, end = int(output.offsets[token, 0]), int(output.offsets[mine[-1], 1])
        number = int(probs[token].argmax())
        probability = float(probs[token, number])
        label = head.labels[(number - 1) // 2] if number else ""
        begins = number % 2 == 1
        if open_ and number and not begins and open_[2] == label:
            open_ = (open_[0], end, label, min(open_[3], probability))
            continue
        if open_:
            found.append(_entity(open_, text))
        open_ = (start, end, label, probability) if number else None
    return [*found, _entity(open_, text)] if open_ else found


def _entity(span: tuple[int, int, str, float], text: str) -> Entity:
    start, end, label, probability = span
    return Entity(start, end, label, text[start:end], probability)


def word_starts(text: str, offsets: NDArray[np.int64], parts: NDArray[np.int64], part: int = 0) -> list[int]:
    """Tokens of a part that begin a word: not those that go on with the letters or digits of the token before.

    Args:
        text: of that part.
    """
    starts, before = [], -1
    for token in range(len(offsets)):
        start, end = offsets[token]
        if parts[token] != part or end <= start:
            continue
        joined = start == before and start > 0 and _in_word(text[start - 1]) and _in_word(text[start])
        if not joined:
            starts.append(token)
        before = end
    return starts


def _in_word(char: str) -> bool:
    return char.isalnum() and not CJK.match(char)


def _span(entity: Any, head: HeadSpec, column: str, text: str) -> Span:
    try:
        start, end, label = (
            (entity["start"], entity["end"], entity["label"]) if isinstance(entity, dict) else tuple(entity)
        )
        start, end, label = int(start), int(end), str(label)
    except (KeyError, TypeError, ValueError):
        raise BadRow(f"field '{column}' holds {str(entity)[:80]}; an entity is {{start, end, label}}") from None
    if label not in head.labels:
        near = difflib.get_close_matches(label, head.labels, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(head.labels)}"
        raise BadRow(f"field '{column}': unknown entity type '{label[:60]}'; {hint}")
    if not 0 <= start < end <= len(text):
        raise BadRow(f"field '{column}': span {start} to {end} lies outside the text of {len(text)} characters")
    return start, end, label
