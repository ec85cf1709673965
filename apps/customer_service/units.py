"""Units: the texts of a chunk that get a vector each, so that a question may match its topic or a single sentence."""

from __future__ import annotations

from apps.customer_service.chunks import Chunk

BEFORE_SENTENCES = 2
"""Units of a chunk that stand before those of its sentences: its topic, and all of it."""


def units(chunk: Chunk, title: str) -> list[str]:
    """The topic (title and headings), the chunk under its topic, then each of its sentences under the title."""
    topic = f"{title} > {chunk.heading}" if chunk.heading else title
    said = [span.of(chunk.text) for span in chunk.sentences()]
    return [topic, f"{topic}\n{chunk.text}", *(f"{title}: {sentence}" for sentence in said)]
