"""Card: what a model version is, how well it answers and what it was made of, for the people who decide on its use."""

from __future__ import annotations

from engine.card.facts import Card, Table, of, stored
from engine.card.html import html
from engine.card.markdown import markdown

FILE = "card.md"
__all__ = ["FILE", "Card", "Table", "html", "markdown", "of", "stored"]
