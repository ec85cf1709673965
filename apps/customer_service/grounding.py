"""Grounding: which cited sentence supports a sentence that a chat model wrote, if any does.

Three checks, all of which must hold against one source: it is near enough in meaning (a cosine above a bar that dev
data set), it holds every number and code of the sentence, and it says no where the sentence says no. A check by
likeness alone would let "12 euro" pass for "15 euro" and "can" for "cannot".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.text.sentences import sentences
from engine.text.terms import codes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine import Embedder

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NOT = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|cannot|without)\b|n['’]t\b|不|没|无|未|勿", re.IGNORECASE
)
PASSED = 0.05
"""Share of dev's unsupported sentences that may pass the bar."""


@dataclass(frozen=True)
class Grounds:
    """Sources with their vectors.

    Args:
        bar: cosine from which a source is near enough.
    """

    texts: Sequence[str]
    vectors: NDArray[np.float32]
    embedder: Embedder
    bar: float

    @classmethod
    def of(cls, texts: Sequence[str], embedder: Embedder, bar: float) -> Grounds:
        return cls(texts, embedder.embed(list(texts), side="pair"), embedder, bar)

    def support(self, said: str) -> int | None:
        """Place of the source that supports a sentence; None where none does."""
        cosines = self.vectors @ self.embedder.embed([said])[0]
        for at in np.argsort(-cosines, kind="stable"):
            if cosines[at] < self.bar:
                return None
            if agrees(said, self.texts[at]):
                return int(at)
        return None


def agrees(said: str, source: str) -> bool:
    """Whether a source holds the numbers and codes of a sentence, and denies where it denies."""
    held = {*_numbers(source), *codes(source)}
    return {*_numbers(said), *codes(said)} <= held and bool(_NOT.search(said)) == bool(_NOT.search(source))


def fitted(pairs: Sequence[tuple[str, Sequence[str]]], embedder: Embedder) -> float:
    """The bar: at most a share PASSED of the sentences that a source does not support come above it.

    Args:
        pairs: (sentence, sources of the same document that do not support it).
    """
    highest = []
    for said, others in pairs:
        wrong = [other for other in others if agrees(said, other)]
        if wrong:
            highest.append(float((embedder.embed(wrong, side="pair") @ embedder.embed([said])[0]).max()))
    if not highest:
        return 0.6
    allowed = int(PASSED * (len(highest) + 1)) - 1
    order = sorted(highest, reverse=True)
    return float(np.nextafter(order[max(allowed, 0)], 2.0))


def complete(pieces: Iterable[str]) -> Iterator[str]:
    """A stream of text as whole sentences."""
    text = ""
    for piece in pieces:
        text += piece
        spans = sentences(text)
        if len(spans) > 1:  # the last one may go on
            yield from (span.of(text) for span in spans[:-1])
            text = text[spans[-1].start :]
    if text.strip():
        yield from (span.of(text) for span in sentences(text))


def _numbers(text: str) -> set[str]:
    """Numbers in one form: 15, 15.00 and 15,00 are 15."""
    found = set()
    for number in _NUMBER.findall(text):
        plain = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", number).replace(",", ".")
        found.add(plain.rstrip("0").rstrip(".") if "." in plain else plain)
    return found
