"""Terms: what a lexical index holds of a text: stems of English words, pairs of Chinese characters, codes whole."""

from __future__ import annotations

import itertools
import re
from functools import cache
from typing import Any

from engine.text.normalise import CJK, words

_CODE = re.compile(r"\b(?:([a-z]{1,4})[-‐–_]?|([b-hj-z]) )(\d{1,6})\b")
_STOP = frozenset(
    "a an the and or but if of to in on at by for with from as is are was were be been am do does did has have had i "
    "me my you your we our it its he she they them this that these those there here what which who when where why how "
    "can could will would should may might must not no so than then too very just about into over under up down out "
    "please hi hello thanks im i'm i've i'd it's don't can't".split()
)


def terms(text: str) -> list[str]:
    """The terms of a text in order, repeats included.

    A code is one term however it is written (`D-51`, `d51`, `D 51`), beside its parts. Chinese is cut into pairs of
    neighbouring characters, as search engines do without a dictionary; a lone character stays.
    """
    stem = _stemmer().stemWord
    found: list[str] = []
    run: list[str] = []
    for word in [*words(text), ""]:
        if word and CJK.fullmatch(word):
            run.append(word)
            continue
        found += [first + second for first, second in itertools.pairwise(run)] or run
        run = []
        if word and word not in _STOP:
            found.append(stem(word))
    return found + codes(text)


def codes(text: str) -> list[str]:
    """The codes of a text in order, each in one form however it is written: D-51, d51 and "D 51" are d51.

    "up to 50" and "a 5" are none.
    """
    return [many + one + digits for many, one, digits in _CODE.findall(text.casefold())]


@cache
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
