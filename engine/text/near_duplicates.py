"""Near-duplicate texts: MinHash proposes pairs (Broder 1997), the edit distance in words decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from engine.text.normalise import CJK, words

PERMUTATIONS, BANDS, BAND_ROWS = 126, 42, 3
"""Bands of three: a headline of six words with two changed (Jaccard .5) is proposed with probability .996."""


def is_near(left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether two texts, as words, differ by one or two words changed, added or dropped (in long texts: a tenth).

    In Chinese, where every character counts as a word here, a changed word is two characters.
    """
    from rapidfuzz.distance import Levenshtein

    longest = max(len(left), len(right))
    if not longest:
        return False
    allowed, in_chinese = (min(max(changes, longest // 10), int(0.4 * longest)) for changes in (2, 4))
    if abs(len(left) - len(right)) > in_chinese:
        return False
    distance = Levenshtein.distance(left, right, score_cutoff=in_chinese)
    # Most proposed pairs are settled without a look at the script of each word.
    return distance <= allowed or (distance <= in_chinese and sum(map(_is_cjk, left)) > len(left) / 2)


class NearDuplicates:
    """Index of texts; finds those that are nearly the same as another.

    Memory is a MinHash of 126 integers a text and the word lists for the check of each proposed pair.
    """

    def __init__(self) -> None:
        from datasketch import MinHashLSH

        self._lsh = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, BAND_ROWS))
        self._words: list[list[str]] = []

    def add(self, texts: Iterable[str]) -> None:
        for found in map(words, texts):
            if found:
                self._lsh.insert(len(self._words), _minhash(found), check_duplication=False)
            self._words.append(found)

    def near(self, text: str) -> list[int]:
        """Numbers, in order of adding, of the texts nearly the same as `text`."""
        found = words(text)
        if not found:
            return []
        return sorted(number for number in self._lsh.query(_minhash(found)) if is_near(found, self._words[number]))


def near_pairs(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs (i, j), i < j, of nearly equal texts within one list."""
    index = NearDuplicates()
    for number, text in enumerate(texts):
        for other in index.near(text):
            yield other, number
        index.add([text])


def _minhash(found: list[str]) -> object:
    from datasketch import MinHash

    sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
    sketch.update_batch([word.encode() for word in set(found)])
    return sketch


def _is_cjk(word: str) -> bool:
    return bool(CJK.match(word))
