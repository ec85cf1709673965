"""A card as Markdown: its texts and tables, without the drawings. What is stored with every version."""

from __future__ import annotations

import re

from engine.card.facts import Block, Card, Chart, Prose, Source, Table


def markdown(card: Card) -> str:
    parts = [f"# {_plain(card.title)}", _plain(card.summary)]
    for section in card.sections:
        told = [text for text in map(_block, section.blocks) if text]
        parts += [f"## {_plain(section.title)}", *told] if told else []
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Table(columns=columns, rows=rows, title=title):
            lines = [columns, ["---"] * len(columns), *rows]
            table = "\n".join("| " + " | ".join(map(_plain, line)) + " |" for line in lines)
            return f"{_plain(title)}:\n\n{table}" if title else table
        case Prose(texts=texts, listed=True):
            return "\n".join(f"- {_plain(text)}" for text in texts)
        case Prose(texts=texts):
            return "\n\n".join(map(_plain, texts))
        case Chart() | Source():  # the table beside a chart says the same; recipe.yaml lies beside the card
            return ""


def _plain(text: str) -> str:
    """On one line, with what Markdown or HTML would read as its own made harmless."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))
