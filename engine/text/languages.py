"""Which language a text is in, as far as a news desk must know: by script first, then by common words."""

from __future__ import annotations

import re

from engine.text.normalise import CJK, words

_SCRIPTS = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "zh": CJK,
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
}
SCRIPT_SHARE = 0.2
"""A name in a foreign script inside an English sentence does not make it foreign."""

_COMMON = {
    "en": "the of and to in is for on with as at by from its it was has will after over not but says said than up down",
    "de": "der die das und ist nicht ein eine mit für von auf dem den im zu sich auch nach bei wird werden über hat",
    "fr": "le la les des du et est une un pour dans sur au aux avec par pas qui que son ses plus après sont ce cette",
    "es": "el la los las de del y es una un para en por con que se su sus más al tras como pero ha lo",
    "it": "il lo la gli le di del della e è un una per in con che si suo non più dopo sono dei nel alla",
    "pt": "o a os as de do da dos das e é um uma para em por com que se não mais após no na ao",
    "nl": "de het een en van is niet op met voor te dat in naar door bij zijn aan ook na wordt over",
    "sv": "och att det är en ett som på för med av inte till den har om efter från vid sig",
    "fi": "ja on ei että se oli mutta kun myös sekä ovat tai mukaan jälkeen vuoden",
    "pl": "i w na z do nie się jest że po od za przez jak oraz ale dla ma są",
}
_ENGLISH_TOO = frozenset(
    "a as do no in is die on an was so o i to na has but it me sin son para con per van over al".split()
)
"""Words of other lists that an English headline may hold as well."""
_SETS = {
    language: frozenset(common.split()) - (frozenset() if language == "en" else _ENGLISH_TOO)
    for language, common in _COMMON.items()
}


def detect(text: str) -> str | None:
    """ISO 639-1 code of the text's language, or None where it cannot be told.

    Scripts that one language of the list uses tell it outright. Latin texts are told by their common words; a short
    headline with none of them, such as names alone, counts as English.
    """
    if not any(map(str.isalpha, text)):
        return None
    if not text.isascii():
        letters = sum(map(str.isalpha, text))
        shares = {language: len(script.findall(text)) / letters for language, script in _SCRIPTS.items()}
        if shares["ja"] > 0.05 and shares["ja"] + shares["zh"] > SCRIPT_SHARE:
            return "ja"
        script, share = max(shares.items(), key=lambda item: item[1])
        if share > SCRIPT_SHARE:
            return script
    found = set(words(text))
    counts = {language: len(found & common) for language, common in _SETS.items()}
    best = max(counts, key=lambda language: (counts[language], language == "en"))
    if counts[best] >= 2 and counts[best] > counts["en"]:
        return best
    return "en"
