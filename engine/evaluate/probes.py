"""Probes: how a text is changed so that its answer must stay, or must move one way (CheckList: Ribeiro et al. 2020,
arXiv 2005.04118, invariance and directional expectation tests)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from engine.data.augment.noise import noisy
from engine.evaluate import words
from engine.recipe.checks import Directional, Invariance
from engine.text.normalise import CJK

TYPOS = 0.02
"""Share of letters that are mistyped, at least one: a headline's worth of haste."""
NUMBERS = 0.2
"""How far a number moves, as CheckList's `change_number`."""
Change = Callable[[str, random.Random], str | None]
"""The changed text; None, or the same text, where it does not fit."""


@dataclass(frozen=True)
class Built:
    change: Change
    told: str
    """How its texts are made, for people."""


def _typos(text: str, draw: random.Random) -> str | None:
    letters = sum(char.isalpha() for char in text)
    return noisy(text, max(TYPOS, 1 / letters), draw) if letters > 1 else None


def _case(text: str, draw: random.Random) -> str | None:
    return draw.choice((text.lower(), text.upper()))


def _punctuation(text: str, draw: random.Random) -> str | None:
    bare = text.rstrip(" .!。！")
    if not bare or bare.endswith(("?", "？")):
        return None
    stop = "。" if CJK.search(bare[-1]) else "."
    return bare if text.rstrip() != bare else bare + stop


def _whitespace(text: str, draw: random.Random) -> str | None:
    gaps = [place for place, char in enumerate(text) if char == " "]
    for place in sorted(draw.sample(gaps, min(len(gaps), 3)), reverse=True):
        text = f"{text[:place]} {text[place:]}"
    return f" {text} "


_SHORT = {
    "is not": "isn't", "are not": "aren't", "was not": "wasn't", "were not": "weren't", "do not": "don't",
    "does not": "doesn't", "did not": "didn't", "has not": "hasn't", "have not": "haven't", "had not": "hadn't",
    "cannot": "can't", "could not": "couldn't", "will not": "won't", "would not": "wouldn't",
    "should not": "shouldn't", "i am": "I'm", "i have": "I've", "i will": "I'll", "it is": "it's", "that is": "that's",
    "what is": "what's", "there is": "there's", "we are": "we're", "we have": "we've", "you are": "you're",
    "they are": "they're",
}  # fmt: skip
_LONG = {short.lower(): long for long, short in _SHORT.items() if short not in ("it's", "that's", "what's", "there's")}
"""Without those that may stand for "has"."""
_LONG_WORDS = re.compile(rf"\b(?:{'|'.join(_SHORT)})\b", re.IGNORECASE)
_SHORT_WORDS = re.compile(rf"\b(?:{'|'.join(_LONG)})\b", re.IGNORECASE)


def _contractions(text: str, draw: random.Random) -> str | None:
    straight = text.replace("’", "'")
    if _SHORT_WORDS.search(straight):
        return _SHORT_WORDS.sub(lambda found: _like(_LONG[found[0].lower()], found[0]), straight)
    return _LONG_WORDS.sub(lambda found: _like(_SHORT[found[0].lower()], found[0]), text)


def _like(word: str, model: str) -> str:
    """The word with the capitals of another: all, the first, or as it is."""
    if model.isupper() and len(model) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def _number(text: str, draw: random.Random) -> str | None:
    found = re.findall(r"\d+(?:[.,:/-]\d+)*", text, re.ASCII)
    # Of several, one may be told by the other; a year or a code is no quantity; 0 and 1 are as good as words.
    if len(found) != 1 or not found[0].isdigit() or re.fullmatch(r"(?:19|20)\d\d|[01]|0\d+", found[0]):
        return None
    start = text.index(found[0])
    end = start + len(found[0])
    if re.search(r"[A-Za-z#-]$", text[:start]) or re.match(r"[A-Za-z-]", text[end:]):
        return None
    value, digits = int(found[0]), len(found[0])
    step = max(1, round(value * NUMBERS))
    low, high = max(2, 10 ** (digits - 1), value - step), min(10**digits - 1, value + step)
    near = draw.randint(low, high - 1)
    return f"{text[:start]}{near if near < value else near + 1}{text[end:]}"


_WIDTHS = str.maketrans("，。！？：；（）,!?:;()", ",.!?:;()，！？：；（）")


def _width(text: str, draw: random.Random) -> str | None:
    return text.translate(_WIDTHS) if CJK.search(text) else None


def _sentence(kind: Literal["neutral", "bad", "good"]) -> Change:
    def change(text: str, draw: random.Random) -> str | None:
        found = words.of(text)
        if found is None or not text.strip():
            return None
        bare = text.rstrip()
        chinese = bool(CJK.search(bare[-1:]))
        ended = bare if bare[-1] in ".!?。！？" else bare + ("。" if chinese else ".")
        gap = "" if ended[-1] in "。！？" else " "
        said: list[str] = list(getattr(found, kind))
        return ended + gap + draw.choice(said)

    return change


_AUXILIARY = re.compile(
    r"\b(?:(?:is|are|was|were|will|would|can|could|should|does|do|did)\b|(?:has|have|had)\b(?= (?:been|\w+ed)\b))"
)
_DENIED = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|without|cannot|hardly)\b|n['’]t\b|\?", re.IGNORECASE
)


def _negation(text: str, draw: random.Random) -> str | None:
    found = list(_AUXILIARY.finditer(text))
    # Of several it is not plain which is the sentence's own; what comes first is a question.
    if len(found) != 1 or not found[0].start() or _DENIED.search(text):
        return None
    return f"{text[: found[0].end()]} not{text[found[0].end() :]}"


_STRONGER = re.compile(r"\b(?:very|most|more|less|too|so|as|extremely|highly)\s+$", re.IGNORECASE)
_NO_NOUN = r"(?! (?:of|in|on|since|for|from|at|to|by|with|as|and|or|but|than|after|before|enough)\b)"
"""What follows an adjective that stands for a noun ("a high of") or has a degree already."""


def _intensifier(text: str, draw: random.Random) -> str | None:
    found = words.of(text)
    if found is None or not found.gradable:
        return None
    place = re.search(rf"(?<![\w-])(?:{'|'.join(found.gradable)})(?= [a-z]){_NO_NOUN}", text)
    if place is None or _STRONGER.search(before := text[: place.start()]):
        return None
    return re.sub(r"\b([Aa])n $", r"\1 ", before) + "very " + text[place.start() :]


INVARIANT: Mapping[Invariance, Built] = {
    "typos": Built(_typos, f"one letter in {1 / TYPOS:.0f} mistyped, at least one"),
    "case": Built(_case, "all letters small, or all capital"),
    "punctuation": Built(_punctuation, "the full stop at the end added, or taken away"),
    "whitespace": Built(_whitespace, "spaces at both ends, and up to three gaps doubled"),
    "contractions": Built(_contractions, "contractions written out, or words contracted"),
    "neutral_sentence": Built(_sentence("neutral"), "a sentence about nothing appended"),
    "number": Built(_number, f"a lone number moved by at most {NUMBERS:.0%}, its length kept; no years, no codes"),
    "width": Built(_width, "full-width punctuation in Chinese texts made half-width, and the other way about"),
}
DIRECTED: Mapping[Directional, Built] = {
    "negation": Built(_negation, "'not' behind the lone auxiliary verb: the answer must move off the end it is at"),
    "intensifier": Built(_intensifier, "'very' before an adjective of degree: the answer must not fall back"),
    "bad_clause": Built(_sentence("bad"), "a sentence that calls it terrible appended: the answer must not get better"),
    "good_clause": Built(_sentence("good"), "a sentence that calls it great appended: the answer must not get worse"),
}
