"""Attributions as one HTML file: each text with its words shaded by what they add to the answer."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from engine.card.html import page

if TYPE_CHECKING:
    from engine.explain import Explanation

FOR, AGAINST = "46, 160, 67", "218, 54, 51"
"""Red, green and blue of words that speak for the answer, and against it."""


def html(explanations: Sequence[Explanation]) -> str:
    """The whole document; every text is escaped."""
    from engine.explain import EXPLAINED

    models = ", ".join(dict.fromkeys(f"{one.model} ({one.backend})" for one in explanations))
    summary = (
        f"Answers by {models}; explained by integrated gradients of its form {EXPLAINED}. Green words speak for the "
        "answer, red ones against it."
    )
    return page("Why these answers", summary, "\n".join(map(_section, explanations)))


def _section(one: Explanation) -> str:
    title = one.head if one.label is None else f"{one.head}: {one.label}"
    lines = "".join(f"<p>{marked(one, part)}</p>\n" for part in range(1 if one.pair is None else 2))
    told = (
        f"probability {one.answered:.3f} ({one.backend}), {one.probability:.3f} (explained); logit {one.logit:+.3f}, "
        f"{one.baseline:+.3f} without words; gap {one.gap:+.5f} after {one.steps} steps"
    )
    return f'<section>\n<h2>{escape(title)}</h2>\n{lines}<p class="summary">{escape(told)}</p>\n</section>'


def marked(one: Explanation, part: int = 0) -> str:
    """The text (part 1: that of a pair) as HTML, each word on its shade."""
    text = one.pair if part and one.pair is not None else one.text
    strongest = max((abs(word.attribution) for word in one.words), default=0.0) or 1.0
    pieces, done = [], 0
    for word in one.words:
        if word.part != part:
            continue
        share = word.attribution / strongest
        colour = FOR if share > 0 else AGAINST
        pieces.append(
            f'{escape(text[done : word.start])}<span style="background: rgba({colour}, {abs(share) * 0.6:.2f})" '
            f'title="{word.attribution:+.3f}">{escape(word.text)}</span>'
        )
        done = word.end
    return "".join(pieces) + escape(text[done:])
