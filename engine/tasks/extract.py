"""Extract: the span of a passage that answers a question, or no answer (Rajpurkar et al. 2018, SQuAD 2.0).

The model scores every token as the answer's first and as its last; the first special token stands for "no answer".
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import BadRow, Row
from engine.evaluate.calibration import fit_temperature
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Metric, Output
from engine.text.normalise import words


@dataclass(frozen=True)
class Extracted:
    """A span of the passage, or none where the passage does not answer."""

    text: str | None
    start: int
    end: int
    """Characters of the passage, end exclusive; 0 and 0 without an answer."""
    probability: float
    """Of this span, or of there being no answer."""


class Span:
    main = "f1"

    def read(self, head: HeadSpec, value: Any, column: str, text: str, pair: str | None) -> tuple[Any, ...] | None:
        """SQuAD's {text: [...], answer_start: [...]}, or a list of {start, end} or {text, start}; empty: no answer."""
        if value is None or value == "":
            return None
        passage = pair or ""
        if isinstance(value, dict):
            value = _listed(value)
        if not isinstance(value, list | tuple):
            raise BadRow(f"field '{column}' is {type(value).__name__}; give {{text, answer_start}} as SQuAD does")
        return tuple(dict.fromkeys(_span(answer, column, passage) for answer in value))

    def temperature(self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output]) -> float:
        logits, truth = [], []
        most = max(len(candidates(output.parts)) for output in outputs)
        for row, output in zip(rows, outputs, strict=True):
            start, end = target(row.labels[head.name], output.offsets, output.parts)
            for column, token in ((0, start), (1, end)):
                open_ = candidates(output.parts)
                scores = np.full(most, -1e4)
                scores[: len(open_)] = output.logits[open_, column]
                logits.append(scores)
                truth.append(open_.index(token))
        return fit_temperature(np.array(logits), np.array(truth), multi_label=False)

    def metrics(
        self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output], temperature: float
    ) -> dict[str, Metric]:
        exact, overlap = np.zeros(len(rows)), np.zeros(len(rows))
        for place, (row, output) in enumerate(zip(rows, outputs, strict=True)):
            found = self.answer(head, output, temperature, row.text, row.pair)
            passage = row.pair or ""
            truths = [passage[start:end] for start, end in row.labels[head.name]] or [""]
            exact[place] = max(_plain(found.text or "") == _plain(truth) for truth in truths)
            overlap[place] = max(f1(found.text or "", truth) for truth in truths)
        return {"f1": lambda over: float(overlap[over].mean()), "exact": lambda over: float(exact[over].mean())}

    def answer(self, head: HeadSpec, output: Output, temperature: float, text: str, pair: str | None) -> Extracted:
        assert output.offsets is not None
        open_ = candidates(output.parts)
        scores = output.logits[open_] / temperature
        scores = scores - _log_sum_exp(scores)
        none = float(scores[0].sum())
        joint = scores[1:, 0][:, None] + scores[None, 1:, 1]
        allowed = np.triu(np.ones_like(joint, dtype=bool)) & np.tri(len(joint), k=head.longest - 1, dtype=bool)
        joint = np.where(allowed, joint, -np.inf)
        if not joint.size or joint.max() <= none:
            return Extracted(None, 0, 0, float(np.exp(none)))
        first, last = np.unravel_index(int(joint.argmax()), joint.shape)
        start, end = int(output.offsets[open_[first + 1], 0]), int(output.offsets[open_[last + 1], 1])
        return Extracted((pair or "")[start:end], start, end, float(np.exp(joint[first, last])))


def _listed(value: dict[str, Any]) -> list[dict[str, Any]]:
    """SQuAD's parallel lists, or one answer, as a list of answers."""
    texts, starts = value.get("text") or [], value.get("answer_start", value.get("start"))
    if isinstance(texts, str):
        return [{"text": texts, "start": starts}]
    return [{"text": text, "start": start} for text, start in zip(texts, starts or [], strict=False)]


def candidates(parts: NDArray[np.int64] | None) -> list[int]:
    """Tokens that may begin or end an answer: the first token ("no answer"), then the passage's."""
    assert parts is not None
    return [0, *(token for token in range(1, len(parts)) if parts[token] == 1)]


def target(
    answers: Sequence[tuple[int, int]], offsets: NDArray[np.int64] | None, parts: NDArray[np.int64] | None
) -> tuple[int, int]:
    """First and last token of the first answer; 0 and 0 where there is none or it was cut off."""
    assert offsets is not None
    assert parts is not None
    for start, end in answers[:1]:
        inside = [
            token
            for token in range(1, len(parts))
            if parts[token] == 1 and offsets[token, 0] < end and offsets[token, 1] > start
        ]
        if inside and offsets[inside[-1], 1] >= end:
            return inside[0], inside[-1]
    return 0, 0


def f1(answer: str, truth: str) -> float:
    """SQuAD's F1 over words; both empty (no answer) is 1."""
    mine, real = words(_plain(answer)), words(_plain(truth))
    if not mine or not real:
        return float(mine == real)
    common = sum((Counter(mine) & Counter(real)).values())
    return 2 * common / (len(mine) + len(real))


def _plain(text: str) -> str:
    """SQuAD's normal form: lower case, no punctuation, no articles, single spaces."""
    lower = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", lower).split())


def _log_sum_exp(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    highest = scores.max(0)
    return np.asarray(highest + np.log(np.exp(scores - highest).sum(0)))


def _span(answer: Any, column: str, passage: str) -> tuple[int, int]:
    try:
        start = int(answer["start"])
        end = int(answer["end"]) if "end" in answer else start + len(answer["text"])
    except (KeyError, TypeError, ValueError):
        raise BadRow(f"field '{column}' holds {str(answer)[:80]}; an answer is {{text, start}}") from None
    if not 0 <= start < end <= len(passage):
        raise BadRow(f"field '{column}': answer {start} to {end} lies outside the passage of {len(passage)} characters")
    if "text" in answer and passage[start:end] != answer["text"]:
        raise BadRow(f"field '{column}': at {start} stands {passage[start:end][:40]!r}, not {answer['text'][:40]!r}")
    return start, end
