"""Neighbours: which texts are like which, by vectors of an embedder, or by the letters they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Places = NDArray[np.int64]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts -> vectors, shape (texts, width)."""
NEAREST = 10
PART = 1024
"""Texts whose likeness to all others is looked at at once."""
WIDTH = 1024


@dataclass(frozen=True)
class Near:
    """The neighbours of some texts, the most alike first; both of shape (texts, at most NEAREST)."""

    places: Places
    cosines: Array


def by_letters(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors of the pieces of two to four letters in each text, rare ones weighing more.

    No model is needed, and Chinese does as well; vectors of an encoder serve better.
    """
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    pieces = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), n_features=WIDTH, norm=None, alternate_sign=False, dtype=np.float32
    )
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(pieces.transform(texts))
    return np.asarray(weighed.toarray(), dtype=np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of length 1 from their common mean: embedders differ in how alike any two texts are, and so do not."""
    centred = vectors - vectors.mean(axis=0)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def near(vectors: NDArray[np.float32], rows: int) -> Near:
    """The texts most like each of the first `rows`.

    Args:
        vectors: shape (texts, width).
    """
    vectors = unit(vectors)
    most = min(NEAREST, len(vectors) - 1)
    found = Near(np.zeros((rows, most), dtype=np.int64), np.zeros((rows, most)))
    for start in range(0, rows, PART):
        end = min(rows, start + PART)
        like = vectors[start:end] @ vectors.T
        like[np.arange(end - start), np.arange(start, end)] = -np.inf  # a text is no neighbour of its own
        places = np.argsort(-like, axis=1, kind="stable")[:, :most]
        found.places[start:end] = places
        found.cosines[start:end] = np.take_along_axis(like, places, axis=1)
    return found
