"""Synonyms: some words of a text exchanged for others of the same meaning, never those that the label may hang on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.data.augment.kept import is_kept
from engine.data.augment.noise import Random
from engine.data.augment.wordnet import WordNet
from engine.errors import DataError, InputError
from engine.text.normalise import CJK

CHOICES = 3
"""Synonyms of a word among which one is drawn: the first are the nearest."""
_WORD = re.compile(rf"(?<![\w'’.@/-])(?:(?!{CJK.pattern})[^\W\d_])+(?![\w'’@/-]|\.\w)")
"""Whole words: not `n't` of `don't`, nor parts of U.S., well-known, Q3 or an address."""


class Thesaurus(Protocol):
    """Words that may stand for a word."""

    pattern: re.Pattern[str]
    """What is looked up in a text."""

    def of(self, word: str) -> Sequence[str]:
        """Synonyms of a word in lower case, the best first; empty where there is none."""


class OfWordNet:
    """WordNet's synonyms, without the words that are kept."""

    pattern = _WORD

    def __init__(self, wordnet: WordNet) -> None:
        self._wordnet = wordnet

    def of(self, word: str) -> Sequence[str]:
        if len(word) < 3 or is_kept(word):
            return []
        return [other for other in self._wordnet.of(word) if len(other) > 2 and not is_kept(other)]


class OfFile:
    """The user's own synonyms: `word: other, another` a line, in any language; lines with # are comments.

    What the user lists is taken, and may be a phrase; Chinese words are found inside a text without spaces.

    Raises:
        DataError: the file is missing, or a line is none of that.
    """

    def __init__(self, path: Path) -> None:
        self._synonyms: dict[str, list[str]] = {}
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as fault:
            raise DataError(f"{path}: cannot be read ({fault}); give a UTF-8 file of synonyms") from None
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            word, colon, others = (part.strip() for part in text.replace("：", ":").partition(":"))
            synonyms = [other for part in re.split(r"[,，、]", others) if (other := part.strip())]
            if not (word and colon and synonyms):
                raise DataError(f"{path}, line {number}: {text[:60]!r}; write it as 'word: other, another'")
            self._synonyms.setdefault(word.lower(), []).extend(synonyms)
        if not self._synonyms:
            raise DataError(f"{path}: holds no synonyms; write 'word: other, another' on a line")
        keys = sorted(map(re.escape, self._synonyms), key=len, reverse=True)
        latin = "|".join(key for key in keys if not CJK.search(key))
        chinese = "|".join(key for key in keys if CJK.search(key))
        either = [rf"(?<![\w'’-])(?:{latin})(?![\w'’-])"] * bool(latin) + [chinese] * bool(chinese)
        self.pattern = re.compile("|".join(either), re.IGNORECASE)

    def of(self, word: str) -> Sequence[str]:
        return self._synonyms.get(word, [])


class OfNeighbours:
    """Words of the train texts with the nearest vectors, for want of a thesaurus: near in use, not always in meaning.

    Args:
        texts: the train texts.
        embed: unit vectors of words, shape (words, width), as `engine.Embedder(base).embed` gives.
    """

    pattern = _WORD
    least_cosine = 0.65
    least_rows = 3
    """A word in fewer texts is more often a slip than a synonym."""

    def __init__(self, texts: Iterable[str], embed: Callable[[list[str]], NDArray[np.float32]]) -> None:
        rows = Counter(word for text in texts for word in set(_WORD.findall(text)))
        vocabulary = sorted(
            word
            for word, count in rows.items()
            if count >= self.least_rows
            and len(word) > 3
            and word.islower()
            and not CJK.search(word)
            and not is_kept(word)
        )
        self._near: Mapping[str, list[str]] = _nearest(vocabulary, embed, self.least_cosine) if vocabulary else {}

    def of(self, word: str) -> Sequence[str]:
        return self._near.get(word, [])


def ordinary_words(texts: Iterable[str]) -> frozenset[str]:
    """Words that stand in lower case somewhere: a capital at the beginning of a text does not make them names."""
    return frozenset(word for text in texts for word in _WORD.findall(text) if word.islower())


def replaced(text: str, thesaurus: Thesaurus, strength: float, random: Random, ordinary: frozenset[str]) -> str:
    """The text with some of its words exchanged; the same text where no word can be.

    A word with a capital stays unless it begins the text and is in `ordinary`. A synonym begins with a vowel where its
    word does when `a` or `an` stands before it.

    Args:
        strength: share of the text's words to exchange, 0 to 1; at least one word.
        random: its state alone decides the outcome.
    """
    if not 0 < strength <= 1:
        raise InputError(f"share of words {strength:g}: give a number over 0, 1 at most")
    choices = [
        (match, found)
        for match in thesaurus.pattern.finditer(text)
        if not _is_name(match, text, ordinary) and (found := _fitting(match, text, thesaurus))
    ]
    words = len(_WORD.findall(text)) + len(CJK.findall(text)) // 2
    count = min(len(choices), max(1, int(strength * words + random.random())))
    for start in range(count):
        drawn = start + int(random.random() * (len(choices) - start))
        choices[start], choices[drawn] = choices[drawn], choices[start]
    for match, found in sorted(choices[:count], key=lambda choice: -choice[0].start()):
        new = found[int(random.random() * len(found))]
        text = (
            text[: match.start()] + (new[0].upper() + new[1:] if match[0][0].isupper() else new) + text[match.end() :]
        )
    return text


def _is_name(match: re.Match[str], text: str, ordinary: frozenset[str]) -> bool:
    word = match[0]
    if word == word.lower():
        return False
    first = not any(map(str.isalnum, text[: match.start()]))
    return not (first and word[1:] == word[1:].lower() and word.lower() in ordinary)


def _fitting(match: re.Match[str], text: str, thesaurus: Thesaurus) -> list[str]:
    found = [other for other in thesaurus.of(match[0].lower()) if other.lower() != match[0].lower()][:CHOICES]
    if re.search(r"\ban? $", text[max(0, match.start() - 4) : match.start()], re.IGNORECASE):
        found = [other for other in found if (other[0].lower() in "aeiou") == (match[0][0].lower() in "aeiou")]
    return found


def _nearest(
    vocabulary: list[str], embed: Callable[[list[str]], NDArray[np.float32]], least: float
) -> dict[str, list[str]]:
    """Word -> its nearest of the vocabulary, where each is among the other's nearest, the ending is the same (which
    mostly keeps number and tense), and the stem is another."""
    vectors = embed(vocabulary)
    near: dict[str, list[str]] = {}
    for start in range(0, len(vocabulary), 512):  # a block at a time bounds the memory
        cosines = vectors[start : start + 512] @ vectors.T
        for word, row in zip(vocabulary[start : start + 512], cosines, strict=True):
            ranked = (vocabulary[other] for other in np.argsort(-row)[:20] if row[other] >= least)
            found = [other for other in ranked if _ending(other) == _ending(word) and not _is_kin(other, word)]
            near[word] = found[:CHOICES]
    mutual = {word: [other for other in found if word in near[other]] for word, found in near.items()}
    return {word: found for word, found in mutual.items() if found}


def _ending(word: str) -> str:
    return next((ending for ending in ("ing", "ed", "ly", "s") if word.endswith(ending)), "")


def _is_kin(word: str, other: str) -> bool:
    """Whether two words seem to have one stem: retail and retailer, changed and unchanged."""
    return word[:4] == other[:4] or word.endswith(other) or other.endswith(word)
