"""N-grams: words and pairs of them, and runs of three to five characters within a word, hashed; figures are all alike.

All texts are hashed at once, as one row of characters: some calls of NumPy a run's length instead of a
Python loop over a text's n-grams, which takes a quarter of the time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.uint64]
Places = NDArray[np.int64]
BITS = 17
"""Each of the two kinds of n-grams is hashed into so many bits."""
WIDTH = 2 << BITS
CHARACTERS = (3, 4, 5)
VERSION = 2
"""Of the hashes: weights hold for those that they were taught on."""
_FIGURE = re.compile(r"\d")
_SPACE = np.uint64(32)
_BASE, _PAIR, _MIX = np.array([0xBF58476D1CE4E5B9, 0xA0761D6478BD642F, 0x9E3779B97F4A7C15], dtype=np.uint64)
_SHIFT, _HALF = np.uint64(29), np.uint64(32)


def features(texts: Sequence[str]) -> Any:
    """A sparse matrix of shape (texts, WIDTH), float32; a row never depends on the others.

    The n-grams of each kind weigh alike, and the sum of their squares is 1; one that comes twice stands twice.
    """
    from scipy import sparse

    plain = [" ".join(_FIGURE.sub("0", text.lower()).split()) for text in texts]
    whole = f" {' '.join(plain)} ".encode("utf-32-le", "surrogatepass")
    points = np.frombuffer(whole, dtype=np.uint32).astype(np.uint64)
    text_of = np.concatenate([[0], np.repeat(np.arange(len(plain)), [len(text) + 1 for text in plain])])
    columns, rows, weights = [], [], []
    for kind, (hashes, owners) in enumerate((_words(points, text_of), _runs(points, text_of))):
        columns.append((hashes >> np.uint64(64 - BITS)).astype(np.int64) + (kind << BITS))
        rows.append(owners)
        weights.append(1.0 / np.sqrt(np.bincount(owners, minlength=len(texts))[owners]))
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(texts)))])
    data = np.concatenate(weights).astype(np.float32)[order]
    return sparse.csr_matrix((data, np.concatenate(columns)[order], ends), shape=(len(texts), WIDTH))


def _words(points: Points, text_of: Places) -> tuple[Points, Places]:
    """Hashes of words between spaces and of pairs of neighbours, and the text of each; a Chinese character is one."""
    space, chinese = points == _SPACE, (points >= 0x3400) & (points <= 0x9FFF)
    starts = np.flatnonzero(~space[1:] & (space[:-1] | chinese[:-1] | chinese[1:])) + 1
    if not len(starts):
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    at = np.arange(starts[0], len(points))
    place = at - np.repeat(starts, np.diff(starts, append=len(points)))
    powers = np.cumprod(np.full(place.max() + 1, _BASE, dtype=np.uint64))
    hashes = np.add.reduceat(np.where(space[at], np.uint64(0), points[at]) * powers[place], starts - starts[0])
    owners = text_of[starts]
    together = owners[1:] == owners[:-1]
    pairs = (hashes[:-1] * _PAIR + hashes[1:])[together]
    return _mixed(np.concatenate([hashes, pairs])), np.concatenate([owners, owners[1:][together]])


def _runs(points: Points, text_of: Places) -> tuple[Points, Places]:
    """Hashes of runs of characters, and the text of each; a space stands for the start or end of a word."""
    powers = np.cumprod(np.full(max(CHARACTERS), _BASE, dtype=np.uint64))
    hashes, within = points[:-1] * powers[0] + points[1:] * powers[1], np.ones(len(points) - 1, dtype=np.bool_)
    found, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for length in CHARACTERS:
        count = max(0, len(points) - length + 1)
        hashes = hashes[:count] + points[length - 1 :] * powers[length - 1]
        within = within[:count] & (points[length - 2 : length - 2 + count] != _SPACE)
        places = np.flatnonzero(within)
        found.append(hashes[places])
        owners.append(text_of[places + 1])
    return _mixed(np.concatenate(found)), np.concatenate(owners)


def _mixed(hashes: Points) -> Points:
    hashes = (hashes ^ (hashes >> _SHIFT)) * _MIX
    mixed: Points = (hashes ^ (hashes >> _HALF)) * _BASE
    return mixed
