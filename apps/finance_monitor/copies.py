"""Copies: titles that say the same nearly word for word, found by MinHash in any script.

A title is the set of its runs of four characters, without case, punctuation and spaces. Two sketches have as many equal
bytes as their sets have in common (Broder 1997; a byte of each minimum is enough: Li and König, b-bit minwise hashing,
2010). Four bytes together make a band, and titles that share one are compared (locality-sensitive hashing): this finds
nearly all pairs of which four fifths are in common, and two thirds of those with a half.

Outlets that pass on a text add words at its ends and change their form. Where another word stands in its middle, it is
a like sentence about another company, and where another number does, about another day: those are no copies.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.finance_monitor.recent import Recent, Story
from engine.text.normalise import CJK

Sketch = NDArray[np.uint8]

RUN, CHINESE_RUN = 4, 2
"""Characters of a run."""
SIZE, BAND = 64, 4
"""Bytes of a sketch, and of each of its bands."""
IN_COMMON, OF_SHORTER = 0.5, 0.9
"""Shares of the runs of two copies together, and of those of the shorter one, that both have."""
WORTH = 19
"""Equal bytes of two sketches from which their texts are compared: of 64, half the runs in common give 32, and fewer
than 19 with a probability of .0003."""
MOST = 100_000
"""Titles remembered: some 25 MB."""
SLOTS = 17
"""Bits of a slot's number in the table of each band. A slot holds the last title that fell into it: an older one is
then missed by this band, and found by others."""
_NUMBER = re.compile(r"\d+")
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT, _HALF = np.uint64(29), np.uint64(32)
_POWERS = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F], dtype=np.uint64)
_DRAW = np.random.Generator(np.random.PCG64(13))
_FACTORS = _DRAW.integers(0, 2**63, SIZE, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _DRAW.integers(0, 2**63, SIZE, dtype=np.uint64)
_BANDS = np.arange(SIZE // BAND)


def sketch(text: str) -> Sketch:
    """Of a text in normal form, not empty: 64 bytes."""
    run = _run(text)
    points = np.frombuffer(text.encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
    count = len(points) - run + 1
    hashes = points[:count] * _POWERS[0]
    for place in range(1, run):
        hashes += points[place : place + count] * _POWERS[place]
    hashes = (hashes ^ (hashes >> _SHIFT)) * _MIX
    hashes ^= hashes >> _HALF
    # Multiply-shift (Dietzfelbinger et al. 1997), one function a column.
    minima: Sketch = ((hashes[:, None] * _FACTORS + _OFFSETS) >> _HALF).min(axis=0).astype(np.uint8)
    return minima


class Copies:
    """The titles of the last two days. A lookup is some ten calls of NumPy, whatever is remembered."""

    def __init__(self) -> None:
        self._recent = Recent(SIZE, np.uint8, most=MOST)
        self._texts: deque[str] = deque()
        self._table = _empty()

    def story(self, text: str, own: Sketch, now: datetime) -> Story | None:
        """The story of the title most like this one, if it is a copy; the latest of those that are alike.

        Args:
            text: the title in normal form.
        """
        for _ in self._recent.forget(now):
            self._texts.popleft()
        numbers = self._table[_BANDS, _slots(own)]
        places = numbers[numbers >= self._recent.first] - self._recent.first
        alike = (self._recent.rows[places] == own).sum(axis=1)
        enough = alike >= WORTH
        for _, place in sorted(set(zip(alike[enough].tolist(), places[enough].tolist(), strict=True)), reverse=True):
            if is_copy(text, self._texts[place]):
                return self._recent.story(self._recent.first + place)
        return None

    def add(self, text: str, own: Sketch, now: datetime, story: Story) -> None:
        self._table[_BANDS, _slots(own)] = self._recent.add(own, now, story)
        self._texts.append(text)

    def __getstate__(self) -> dict[str, Any]:
        return {"_recent": self._recent, "_texts": self._texts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._table = _empty()
        for place, own in enumerate(self._recent.rows):
            self._table[_BANDS, _slots(own)] = self._recent.first + place


def is_copy(left: str, right: str) -> bool:
    """Whether two texts in normal form say the same nearly word for word."""
    if left == right:
        return True
    ours, theirs = _runs(left), _runs(right)
    common = len(ours & theirs)
    if common < IN_COMMON * (len(ours) + len(theirs) - common) or common < OF_SHORTER * min(len(ours), len(theirs)):
        return False
    numbers, others = set(_NUMBER.findall(left)), set(_NUMBER.findall(right))
    return numbers <= others or others <= numbers


def _run(text: str) -> int:
    return min(len(text), CHINESE_RUN if CJK.search(text) else RUN)


def _runs(text: str) -> set[str]:
    run = _run(text)
    return {text[at : at + run] for at in range(len(text) - run + 1)}


def _empty() -> NDArray[np.int64]:
    return np.full((SIZE // BAND, 1 << SLOTS), -1, dtype=np.int64)


def _slots(own: Sketch) -> NDArray[np.uint32]:
    mixed: NDArray[np.uint32] = (own.view(np.uint32) * np.uint32(0x9E3779B1)) >> np.uint32(32 - SLOTS)
    return mixed
