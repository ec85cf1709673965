"""Words: what the checks put into texts or exchange there, by language; from `data/checks/words.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from engine import resources
from engine.text.languages import detect

FILE = "data/checks/words.yaml"
Genders = Mapping[str, Sequence[str]]
"""female, male -> full names."""


@dataclass(frozen=True)
class Frames:
    """What carries a name, a place or a person where the text holds none: formats of (what, text) or of the text."""

    name: str
    place: str
    gendered: tuple[str, str]
    """Of a woman, of a man."""


@dataclass(frozen=True)
class Words:
    """Of one language."""

    neutral: Sequence[str]
    """Sentences that say nothing of what a text is about."""
    bad: Sequence[str]
    good: Sequence[str]
    """Sentences of one clear sentiment, whatever the text is about."""
    gradable: Sequence[str]
    """Adjectives that "very" makes stronger."""
    names: Mapping[str, Genders]
    """Origin -> its names."""
    places: Mapping[str, Mapping[str, Sequence[str]]]
    """Kind, such as cities -> region -> places."""
    gendered: Sequence[tuple[str, str]]
    """The female word and the male one."""
    frames: Frames


def of(text: str) -> Words | None:
    """The words for a text's language; None where there are none."""
    return _read().get(detect(text) or "")


@cache
def _read() -> dict[str, Words]:
    import yaml

    found = yaml.safe_load(resources.text(FILE))
    return {
        language: Words(
            **{
                **lists,
                "gendered": [tuple(pair) for pair in lists["gendered"]],
                "frames": Frames(**{**lists["frames"], "gendered": tuple(lists["frames"]["gendered"])}),
            }
        )
        for language, lists in found.items()
    }
