"""Catalogue: what an item's own fields say beside what the user took: words, category, seller, tags, price, age."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender import columns
from apps.recommender.columns import Columns
from apps.recommender.items import Items
from apps.recommender.past import Floats, Ints, Met, Past, seconds

CHUNK = 65536


@dataclass(frozen=True)
class Catalogue:
    """Features of candidates that need no other user's doing.

    Attributes:
        columns: what the items' columns are used for; by default what these items have.
    """

    items: Items
    columns: Columns = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.columns is None:
            object.__setattr__(self, "columns", Columns.of(self.items))

    def oddities(self) -> list[str]:
        """A line for each thing that a training is not told by its items: columns left out, items without text."""
        mute = self.items.without_text
        return [*self.columns.told(), *([f"{mute:,} items have no text; the rest ranks them"] if mute else [])]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """In the order of `features`; fields that the items lack have no feature."""
        own = [f"{name}_affinity" for name in self._codes]
        own += ["price_log", "price_to_usual"] if self.columns.priced else []
        own += ["age_days"] if self.columns.dated else []
        own += list(self._numbers)
        return ("history_length", "words_last", "words_recent", "words_max", "text_length", *own)

    def features(
        self, past: Past, owners: NDArray[Any], candidates: Ints, met: Met, as_of: NDArray[np.float64] | None
    ) -> Floats:
        """What `names` says of each candidate, shape (candidates, names).

        Args:
            as_of: seconds since 1970 at which each candidate is shown; None: not known, its age is missing.
        """
        found: list[Any] = [np.log1p(past.lengths[owners])]
        words = _dots(self._words, met.before, met.candidates)
        last, recent = (met.ages == 0).astype(np.float32), (0.8**met.ages).astype(np.float32)
        found += [met.total(words, last), met.total(words, recent), met.largest(words)]
        found.append(self._lengths[candidates])
        for codes in self._codes.values():
            same = (codes[met.before] == codes[met.candidates]) & (codes[met.candidates] >= 0)
            found.append(met.mean(same.astype(np.float32)))
        if self.columns.priced:
            price = np.log1p(self.items.frame["price"].to_numpy(np.float32))
            found += [price[candidates], price[candidates] - _usual(price, met)]
        if self.columns.dated:
            shown = np.full(len(candidates), np.nan) if as_of is None else as_of
            found.append((shown - self.published[candidates]) / 86400.0)
        found += [values[candidates] for values in self._numbers.values()]
        return np.column_stack(found).astype(np.float32)

    @cached_property
    def published(self) -> NDArray[np.float64]:
        """Seconds since 1970; NaN where it is not known."""
        frame = self.items.frame
        return seconds(frame["published"]) if "published" in frame else np.full(len(frame), np.nan)

    @cached_property
    def _words(self) -> Any:
        """Unit rows of words and pairs of words by rarity: a series or a platform named in both titles."""
        from scipy.sparse import csr_array
        from sklearn.feature_extraction.text import TfidfVectorizer

        texts = self.items.texts()
        if not any(any(letter.isalnum() for letter in text) for text in texts):
            return csr_array((len(texts), 1), dtype=np.float32)
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+", dtype=np.float32)
        return csr_array(vectorizer.fit_transform(texts))

    @cached_property
    def _lengths(self) -> Floats:
        return np.array([np.log1p(len(text)) for text in self.items.texts()], np.float32)

    @cached_property
    def _codes(self) -> dict[str, Ints]:
        """Numbers of categories, -1 where missing."""
        found = {}
        for name in self.columns.codes:
            values = columns.labels(self.items.frame[name])
            numbers = {value: number for number, value in enumerate(dict.fromkeys(filter(None, values)))}
            found[name] = np.array([numbers.get(value, -1) if value else -1 for value in values], np.int32)
        return found

    @cached_property
    def _numbers(self) -> dict[str, Floats]:
        return {name: columns.numbers(self.items.frame[name]) for name in self.columns.numbers}


def _usual(price: Floats, met: Met) -> Floats:
    """Mean of the prices that are known of what each candidate's user took; 0 where none is."""
    known = ~np.isnan(price[met.before])
    counts = np.maximum(met.total(known.astype(np.float32)), 1)
    return np.asarray(met.total(np.where(known, price[met.before], 0)) / counts, np.float32)


def _dots(matrix: Any, left: Ints, right: Ints) -> Floats:
    """Products of pairs of rows of a sparse matrix."""
    found = np.zeros(len(left), np.float32)
    for first in range(0, len(left), CHUNK):
        part = slice(first, first + CHUNK)
        found[part] = np.asarray(matrix[left[part]].multiply(matrix[right[part]]).sum(axis=1)).ravel()
    return found
