"""Sentences of a text with their places, English and Chinese, Markdown's lists and tables included."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENDS = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s)|[。！？；]+[”’」』）]*|\n(?=\s*(?:[-*+|#>]|\d+[.)]\s))|\n\s*\n")
_ABBREVIATIONS = frozenset(
    "e.g. i.e. etc. vs. mr. mrs. ms. dr. prof. st. no. nos. fig. inc. ltd. co. corp. approx. dept. est. max. min. al. "
    "jan. feb. mar. apr. jun. jul. aug. sep. sept. oct. nov. dec. cf. p. pp. ca. u.s. u.k.".split()
)
_MARKS = re.compile(r"\s*(?:(?:[-*+>]|\d+[.)]|#{1,6})\s+)*")
"""List marks, quote marks and the like that open a line: they are no part of its sentence."""


@dataclass(frozen=True)
class Span:
    """A piece of a text: `text[start:end]`."""

    start: int
    end: int

    def of(self, text: str) -> str:
        return text[self.start : self.end]


def sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """The sentences between two places of a text, in order, without the blanks and list marks around them.

    A list item and a row of a table end with their line; a line break inside a paragraph does not end a sentence.
    """
    end = len(text) if end is None else end
    found, opened = [], start
    for match in _ENDS.finditer(text, start, end):
        if match[0][0] == "." and _goes_on(text, opened, match):
            continue
        found.append((opened, match.end()))
        opened = match.end()
    found.append((opened, end))
    trimmed = [_trimmed(text, *span) for span in found]
    return [span for span in trimmed if re.search(r"\w", span.of(text))]


def _goes_on(text: str, opened: int, match: re.Match[str]) -> bool:
    """Whether this full stop ends an abbreviation, an initial or a list number rather than a sentence."""
    last = text[opened : match.end()].rsplit(None, 1)
    word = last[-1].lower() if last else ""
    if word in _ABBREVIATIONS or re.fullmatch(r"\W*[a-z]\.", word):
        return True
    return re.fullmatch(r"\d+\.", word) is not None and text[opened : match.start()].strip().isdigit()


def _trimmed(text: str, start: int, end: int) -> Span:
    while end > start and text[end - 1].isspace():
        end -= 1
    marks = _MARKS.match(text, start, end)
    return Span(marks.end() if marks else start, end)
