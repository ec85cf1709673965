"""Retold: what the engine and the applications tell in English, in the other tongue; `retold.yaml` has the sentences.

Reports and answers of APIs are in English, and stay so; whoever shows them here shows them to people.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import yaml

_PLACE = re.compile(r"\\\{(\w+)\\\}")
"""A name in braces, in a sentence whose own signs are escaped."""


def chinese(text: str) -> str:
    """The sentence in Chinese; as it is, where none of the catalogue fits."""
    for pattern, said in catalogue():
        if found := pattern.fullmatch(text):
            return said.format(**found.groupdict())
    return text


@cache
def catalogue() -> tuple[tuple[re.Pattern[str], str], ...]:
    """English sentences as patterns, and the Chinese ones with the same places."""
    text = resources.files("apps.console").joinpath("retold.yaml").read_text(encoding="utf-8")
    return tuple((pattern(one["en"]), one["zh"]) for one in yaml.safe_load(text))


def pattern(sentence: str) -> re.Pattern[str]:
    """Fits the sentence with any texts in its places."""
    return re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(sentence)), re.DOTALL)
