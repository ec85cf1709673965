"""Fairness: how far answers move when nothing but a name, a place or a gender in the text is another.

Counterfactual token fairness (Garg et al. 2019, arXiv 1809.10610): the gap is the mean distance of the answers to a
text and to its counterfactual. Where a text names no person or place, a frame carries one ("Omar Mansour writes: ...").
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.evaluate.asked import LEAST, Answering, Example, apart, head_of, interval
from engine.evaluate.intervals import of_mean
from engine.evaluate.words import Words, of
from engine.predictor import Text
from engine.recipe.checks import Fairness
from engine.tasks.heads import HeadSpec
from engine.text.normalise import CJK

EXAMPLES = 5


@dataclass(frozen=True)
class Gap:
    """How far one exchange moves a head's answers."""

    name: str
    """What is exchanged: "origin of the name: Arabic"."""
    head: str
    built: str
    tried: int
    """Texts, each in two forms."""
    inside: int
    """Of them those that held such a word themselves; a frame carries it for the others."""
    gap: float
    """Mean distance of the probabilities, 0 to 1: half their summed difference (total variation), of a multi-label
    head the largest difference of a label's."""
    interval: tuple[float, float]
    """95% bootstrap interval over the texts."""
    flips: float
    """Share of the texts whose label changes; of a multi-label head how far its labels do, as `asked.apart`."""
    flips_interval: tuple[float, float]
    """95%, as `asked.interval`."""
    lean: str
    """The label that the exchange favours or costs most, by how much and with its interval; empty where none does."""
    max_gap: float
    max_flips: float
    examples: tuple[Example, ...]

    @property
    def held(self) -> bool:
        """Whether gap and flips are within their bounds; fewer than 20 texts are not held against them."""
        return self.tried < LEAST or (self.gap <= self.max_gap and self.flips <= self.max_flips)


@dataclass(frozen=True)
class Pair:
    """A text in two forms that should be answered alike."""

    first: Text
    second: Text
    inside: bool


def fairness(
    predictor: Answering, texts: Sequence[Text], *, head: str, seed: int = 0, bounds: Fairness | None = None
) -> list[Gap]:
    """The gaps of one label head, the same for the same texts and seed. In a pair its first text is changed.

    Raises:
        InputError: the model has no such head of labels.
    """
    bounds = bounds or Fairness()
    spec = head_of(predictor, head)
    groups: dict[str, list[Pair]] = {}
    for text in texts:
        first = text if isinstance(text, str) else text[0]
        words = of(first)
        if words is None or not first.strip():
            continue
        draw = random.Random(f"{seed}/{first}")  # a text's own: what it becomes hangs on no other text
        for name, was, becomes, inside in _swaps(first, words, draw):
            pairs = groups.setdefault(name, [])
            if len(pairs) < bounds.most:
                pairs.append(Pair(_as(text, was), _as(text, becomes), inside))
    return [_gap(predictor, spec, name, groups[name], bounds) for name in sorted(groups)]


def _as(text: Text, first: str) -> Text:
    return first if isinstance(text, str) else (first, text[1])


Swapped = tuple[str, str, str, bool]
"""What is exchanged, the text in both forms, and whether the text held it itself."""
SAME = "another name of the same origin"
"""What an exchange that favours nobody does: the gaps of origin and gender are read against this one's."""
_TOLD = {
    SAME: "a name in the place of another of the same origin and gender: how much any name matters",
    "origin of the name": "a name of this origin in the place of one of another, of the same gender",
    "gender of the name": "a woman's name in the place of a man's of the same origin",
    "place": "a place of this region in the place of one of another region",
    "gendered words": "she for he, daughter for son and so on, and the other way about",
}


def _swaps(text: str, words: Words, draw: random.Random) -> Iterator[Swapped]:
    yield from _names(text, words, draw)
    yield from _places(text, words, draw)
    exchanged = _gendered(text, words)
    if exchanged != text:
        yield "gendered words", text, exchanged, True
    else:
        woman, man = (frame.format(text) for frame in words.frames.gendered)
        yield "gendered words", man, woman, False


def _names(text: str, words: Words, draw: random.Random) -> Iterator[Swapped]:
    origins = list(words.names)
    carry, inside = _carrier(text, words, _given(words), words.frames.name)

    def named(full: str) -> str:
        return full.split(" ")[0] if inside else full

    def name(origin: str, gender: str) -> str:
        return named(draw.choice(list(words.names[origin][gender])))

    for origin in origins:
        gender = draw.choice(("female", "male"))
        other = draw.choice([one for one in origins if one != origin])
        yield f"origin of the name: {origin}", carry(name(other, gender)), carry(name(origin, gender)), inside
    origin, gender = draw.choice(origins), draw.choice(("female", "male"))
    one, two = draw.sample(list(words.names[origin][gender]), 2)
    yield SAME, carry(named(one)), carry(named(two)), inside
    yield "gender of the name", carry(name(origin, "male")), carry(name(origin, "female")), inside


def _places(text: str, words: Words, draw: random.Random) -> Iterator[Swapped]:
    kinds = {
        kind: tuple(place for places in regions.values() for place in places) for kind, regions in words.places.items()
    }
    kind = next((kind for kind, places in kinds.items() if _any(places).search(text)), None)
    chosen = kind or draw.choice(list(kinds))
    carry, inside = _carrier(text, words, kinds[chosen], words.frames.place)
    regions = words.places[chosen]
    for region in regions:
        other = draw.choice([one for one in regions if one != region])
        places = draw.choice(list(regions[other])), draw.choice(list(regions[region]))
        yield f"place: {region}", carry(places[0]), carry(places[1]), inside


def _carrier(text: str, words: Words, listed: tuple[str, ...], frame: str) -> tuple[Callable[[str], str], bool]:
    """What puts a word into the text: in the place of the listed one that stands there first, or by the frame."""
    found = _any(listed).search(text)
    if found is None:
        return lambda word: frame.format(word, text), False
    everywhere = _any((found[0],))
    return lambda word: everywhere.sub(lambda _: word, text), True


def _given(words: Words) -> tuple[str, ...]:
    """What stands for a person within a text: the given name; in Chinese, where it is no word of its own, the whole."""
    return tuple(full.split(" ")[0] for genders in words.names.values() for names in genders.values() for full in names)


@lru_cache(maxsize=256)
def _any(listed: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the words, as words of their own; Chinese has no spaces to tell."""
    longest = sorted(listed, key=lambda word: -len(word))
    latin = [re.escape(word) for word in longest if not CJK.search(word)]
    chinese = [re.escape(word) for word in longest if CJK.search(word)]
    parts = [rf"\b(?:{'|'.join(latin)})\b"] * bool(latin) + chinese
    return re.compile("|".join(parts))


_OWNED = re.compile(
    r"\b(h)er\b(?=\s+[a-z])(?!\s+(?:to|in|on|at|for|with|and|or|as|by|from|that|when|after|before)\b)", re.IGNORECASE
)
"""her of "her bank", which becomes his; any other becomes him."""
_DONE = "\0"
"""Before a word that is exchanged already."""


def _gendered(text: str, words: Words) -> str:
    # Of two words for a man's one, the first listed is what it becomes.
    to = {female.lower(): male for female, male in words.gendered}
    to |= {male.lower(): female for female, male in reversed(words.gendered)}
    if "he" in to:
        text = _OWNED.sub(rf"{_DONE}\1is", text)
        to |= {"his": "her", "him": "her", "her": "him", "hers": "his"}
    longest = sorted(to, key=lambda word: -len(word))
    # 其他 is "other", 吉他 a guitar.
    every = [rf"(?<!{_DONE})\b{word}\b" if word.isascii() else rf"(?<![其吉]){word}" for word in longest]

    def other(found: re.Match[str]) -> str:
        word = to[found[0].lower()]
        return word[:1].upper() + word[1:] if found[0][:1].isupper() else word

    return re.sub("|".join(every), other, text, flags=re.IGNORECASE).replace(_DONE, "")


def _gap(predictor: Answering, head: HeadSpec, name: str, pairs: Sequence[Pair], bounds: Fairness) -> Gap:
    probs = predictor.probabilities([text for pair in pairs for text in (pair.first, pair.second)])[head.name]
    before, after = probs[::2], probs[1::2]
    moved = np.abs(after - before)
    distances = moved.max(1) if head.multi_label else moved.sum(1) / 2
    flipped = apart(head, before, after)
    gap, low, high = of_mean(distances)
    shown = np.argsort(-distances - flipped, kind="stable")[:EXAMPLES].tolist()
    examples = [Example.of(head, (pairs[one].first, pairs[one].second), (before[one], after[one])) for one in shown]
    return Gap(
        name,
        head.name,
        _TOLD[name.split(":")[0]],
        len(pairs),
        sum(pair.inside for pair in pairs),
        gap,
        (low, high),
        float(flipped.mean()),
        interval(flipped),
        _lean(head, after - before),
        bounds.max_gap,
        bounds.max_flips,
        tuple(examples),
    )


def _lean(head: HeadSpec, shifts: NDArray[np.float64]) -> str:
    """The label whose probability moves most in the mean, where its interval has one sign."""
    label = int(np.abs(shifts.mean(0)).argmax())
    value, low, high = of_mean(shifts[:, label])
    return f"{head.labels[label]} {value:+.3f} ({low:+.3f} to {high:+.3f})" if low > 0 or high < 0 else ""
