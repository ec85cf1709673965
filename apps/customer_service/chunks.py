"""Chunks: the pieces of a document that are searched, cut along its headings and sentences."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from apps.customer_service.documents import Document
from engine.text.sentences import Span, sentences

MAX_LETTERS = 600
"""Of a chunk, some 110 English words: what an encoder of 128 tokens reads to its end. A Chinese character counts as
four letters."""
OVERLAP = 1
"""Sentences that a chunk repeats of the one before it under the same heading."""
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?(?:^\1|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Chunk:
    id: str
    """Of the document, its heading and its text: a change elsewhere in the document leaves it as it is."""
    document: str
    ordinal: int
    heading: str
    """The headings above it, "Cards > Limits"; empty before the first one."""
    start: int
    end: int
    text: str
    """`document.text[start:end]`."""

    def sentences(self) -> list[Span]:
        """In characters of the chunk's own text."""
        return sentences(self.text)


def cut(document: Document) -> list[Chunk]:
    """The document's chunks in order."""
    found: list[Chunk] = []
    seen: dict[str, int] = {}
    for heading, start, end in _sections(document.text):
        for span in _packed(document.text, sentences(document.text, start, end)):
            text = span.of(document.text)
            key = hashlib.sha256(f"{document.id}\n{document.title}\n{heading}\n{text}".encode()).hexdigest()[:20]
            seen[key] = seen.get(key, 0) + 1
            own = key if seen[key] == 1 else f"{key}-{seen[key]}"
            found.append(Chunk(own, document.id, len(found), heading, span.start, span.end, text))
    return found


def _sections(text: str) -> Iterator[tuple[str, int, int]]:
    """(headings above, start, end) of the text between two headings; what looks like one inside a fence is none."""
    fences = [match.span() for match in _FENCE.finditer(text)]
    marks = [
        match for match in _HEADING.finditer(text) if not any(start <= match.start() < end for start, end in fences)
    ]
    above: list[tuple[int, str]] = []
    opened = 0
    for match in marks:
        yield _path(above), opened, match.start()
        level = len(match[1])
        above = [(depth, title) for depth, title in above if depth < level]
        # The first-level heading is the document's title, which stands beside every chunk already.
        above += [(level, match[2])] if level > 1 else []
        opened = match.end()
    yield _path(above), opened, len(text)


def _path(above: list[tuple[int, str]]) -> str:
    return " > ".join(title for _, title in above)


def _packed(text: str, spans: list[Span]) -> Iterator[Span]:
    """Runs of sentences up to the size of a chunk; a longer sentence is a chunk of its own."""
    run: list[Span] = []
    for span in spans:
        if run and _size(text, run[0].start, span.end) > MAX_LETTERS:
            yield Span(run[0].start, run[-1].end)
            kept = run[-OVERLAP:]
            run = kept if _size(text, kept[0].start, span.end) <= MAX_LETTERS else []
        run.append(span)
    if run:
        yield Span(run[0].start, run[-1].end)


def _size(text: str, start: int, end: int) -> int:
    return end - start + 3 * len(re.findall(r"[\u3400-\u9fff]", text[start:end]))
