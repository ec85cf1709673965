"""Words and normal forms, for English and Chinese alike."""

from __future__ import annotations

import re
import unicodedata

CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LETTER = rf"(?!{CJK.pattern})[^\W_]"
_WORD = re.compile(rf"{CJK.pattern}|(?:{_LETTER})+(?:'(?:{_LETTER})+)*")
_PLAIN = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
"""The same of a text in ASCII, five times as fast."""


def words(text: str) -> list[str]:
    """Words in lower case; every Chinese character is a word of its own. Punctuation is left out."""
    if text.isascii():
        return _PLAIN.findall(text.lower())
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("’", "'"))


def normalised(text: str) -> str:
    """The text without case, punctuation and spacing differences: equal for two texts that only differ in those."""
    return "".join(words(text))
