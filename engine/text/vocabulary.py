"""Everyday English words: those that Keel's own texts write in lower case."""

from __future__ import annotations

import json
import re
from functools import cache

from engine import resources

_LOWER = re.compile(r"\b[a-z][a-z'’-]*\b")


@cache
def everyday_words() -> frozenset[str]:
    """Words that stand in lower case in the packaged headlines, about 9,000: a capital at the start of a sentence says
    nothing about them."""
    found: set[str] = set()
    path = resources.find("data/finance/headlines.jsonl")
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            found.update(_LOWER.findall(json.loads(line)["title"]))
    return frozenset(found)
