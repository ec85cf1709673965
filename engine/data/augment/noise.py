"""Noise: typing errors, spread evenly over the letters of a text."""

from __future__ import annotations

from typing import Protocol

from engine.errors import InputError

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_STAGGER = (0.0, 0.25, 0.75)
"""How far each row of a keyboard stands to the right of the first, in keys."""


class Random(Protocol):
    """What noise needs of `numpy.random.Generator` or `random.Random`."""

    def random(self) -> float:
        """A number in [0, 1)."""


def _neighbours() -> dict[str, str]:
    place = {key: (x + _STAGGER[y], float(y)) for y, row in enumerate(_ROWS) for x, key in enumerate(row)}
    return {
        key: "".join(
            other for other, (ox, oy) in place.items() if other != key and abs(ox - x) <= 1 and abs(oy - y) <= 1
        )
        for key, (x, y) in place.items()
    }


NEIGHBOURS = _neighbours()
"""Letter -> the keys around it on a QWERTY keyboard."""


def noisy(text: str, share: float, random: Random) -> str:
    """The text with `share` of its letters mistyped; digits, spaces and punctuation stay.

    Each letter, of long words and short ones, is hit with the same chance. A hit is, with equal odds, one of: the key
    beside it, swapped with a neighbour in the word, left out, typed twice, or in the other case. Letters that are on
    no Latin keyboard are never replaced: those without upper and lower case, such as Chinese characters, are only
    swapped or left out.

    Args:
        share: 0 to 1. The number of hits is `share` x letters, rounded up or down at random so that the mean is exact.
        random: its state alone decides the outcome.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share of letters {share:g}: give a number from 0 to 1")
    letters = [place for place, char in enumerate(text) if char.isalpha()]
    hits = int(share * len(letters) + random.random())
    for start in range(hits):  # the first steps of a Fisher-Yates shuffle
        chosen = start + int(random.random() * (len(letters) - start))
        letters[start], letters[chosen] = letters[chosen], letters[start]
    hit = sorted(letters[:hits])
    free = dict.fromkeys(letters[hits:], True)
    out = list(text)
    for place in hit:
        _mistype(out, place, free, random)
    return "".join(out)


def _mistype(out: list[str], place: int, free: dict[int, bool], random: Random) -> None:
    """Mistype the letter at `place`; `free` holds the letters that a swap may still take."""
    letter = out[place]
    edits: list[tuple[str, int | None]] = [("", None)]
    partner = next((at for at in (place + 1, place - 1) if free.get(at) and out[at] != letter), None)
    if partner is not None:
        edits.append((out[partner], partner))
    if letter.lower() != letter.upper():
        edits += [(letter * 2, None), (letter.swapcase(), None)]
    if keys := NEIGHBOURS.get(letter.lower()):
        key = keys[int(random.random() * len(keys))]
        edits.append((key.upper() if letter.isupper() else key, None))
    out[place], swapped = edits[int(random.random() * len(edits))]
    if swapped is not None:
        out[swapped] = letter
        free[swapped] = False
