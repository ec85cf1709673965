"""WordNet: synonyms from its database files (Fellbaum 1998; Debian's package `wordnet-base` brings them).

The formats are those of WordNet's manual pages wndb(5), cntlist(5) and morphy(7).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from engine.errors import DataError

DEFAULT = Path("/usr/share/wordnet")
PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
PLAIN = 0.6
"""Share of a word's counted uses that its part of speech, and then the sense in it, must have: no tagger would be sure
of a word that is a noun half of the time, and a synonym of a rare sense is a wrong word."""
LEAST_USES = 2
"""A synonym that WordNet's texts use less often (twelvemonth, quartern) is not what people write."""
_ENDINGS = tuple(
    (ending, back)
    for endings, back in (("s es ed ing er est", ""), ("ed ing er est", "e"), ("ies ied ier iest", "y"), ("men", "man"))
    for ending in endings.split()
)
"""Endings of inflected forms, and what the base form has in their place."""
_PART_OF_KEY = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
_ONE_WORD = re.compile(r"[a-z]+")


class WordNet:
    """Synonyms of English words in their base form.

    Args:
        folder: holds index.noun, data.noun and so on.

    Raises:
        DataError: a file is missing or is not WordNet's.
    """

    def __init__(self, folder: Path = DEFAULT) -> None:
        self.folder = folder
        self._first: dict[str, dict[str, int]] = defaultdict(dict)
        """Lemma -> part of speech -> place of its most frequent sense in the data file."""
        self._opposed: set[tuple[str, str]] = set()
        """Lemmas, with their part of speech, of which a sense has an antonym."""
        self._uses: dict[str, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
        """Lemma -> part of speech -> number of the sense -> uses counted in tagged texts."""
        self._inflected: set[str] = set()
        """Irregular forms, such as rose and men."""
        self._data: dict[str, bytes] = {}
        for part, name in PARTS.items():
            self._read_index(part, name)
            self._inflected |= {form for form, *lemmas in self._lines(f"{name}.exc") if form not in lemmas}
            self._data[part] = self._bytes(f"data.{name}")
        for key, sense, uses in self._lines("cntlist.rev"):
            lemma, _, rest = key.partition("%")
            self._uses[lemma][_PART_OF_KEY[rest[0]]][int(sense)] = int(uses)

    def of(self, word: str) -> list[str]:
        """Synonyms of the word's most frequent sense, in WordNet's order; none unless it is safe to exchange them.

        It is safe where the word is a base form, its part of speech and sense are plain, they are the synonym's most
        frequent ones too, and neither has an antonym: what has one, as rise and good do, is what an opinion hangs on.
        """
        part = self._part(word)
        if part is None or self._is_inflected(word) or not self._is_plain(word, part):
            return []
        place = self._first[word][part]
        return [other for other in self._synset(part, place) if other != word and self._fits(other, part, place)]

    def _fits(self, word: str, part: str, place: int) -> bool:
        uses = sum(self._uses[word][part].values()) if word in self._uses else 0
        return self._first[word].get(part) == place and uses >= LEAST_USES and self._is_plain(word, part)

    def _part(self, word: str) -> str | None:
        if word not in self._first:
            return None
        uses = {part: sum(self._uses[word][part].values()) for part in self._first[word]}
        part = max(uses, key=uses.__getitem__)
        return part if len(uses) == 1 or uses[part] >= PLAIN * max(1, sum(uses.values())) else None

    def _is_plain(self, word: str, part: str) -> bool:
        uses = self._uses[word][part]
        return (word, part) not in self._opposed and uses.get(1, 0) >= PLAIN * sum(uses.values())

    def _is_inflected(self, word: str) -> bool:
        stems = {word.removesuffix(ending) + back for ending, back in _ENDINGS if word.endswith(ending)}
        stems |= {stem[:-1] for stem in stems if len(stem) > 3 and stem[-1] == stem[-2]}  # cutting, from cut
        return word in self._inflected or any(len(stem) > 1 and stem in self._first for stem in stems)

    def _synset(self, part: str, place: int) -> list[str]:
        data = self._data[part]
        fields = data[place : data.find(b"\n", place)].decode("ascii", "replace").split(" ")
        if fields[0] != f"{place:08}":
            raise DataError(
                f"{self.folder / f'data.{PARTS[part]}'}: no synset begins at byte {place}; install WordNet anew"
            )
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        return [word for word in words if _ONE_WORD.fullmatch(word)]

    def _read_index(self, part: str, name: str) -> None:
        """Lines: lemma pos synsets pointers [pointer...] senses tagged offset [offset...]."""
        for lemma, _, _, count, *rest in self._lines(f"index.{name}"):
            pointers = int(count)
            if _ONE_WORD.fullmatch(lemma):
                self._first[lemma][part] = int(rest[pointers + 2])
                if "!" in rest[:pointers]:
                    self._opposed.add((lemma, part))

    def _lines(self, name: str) -> Iterator[list[str]]:
        for line in self._bytes(name).decode("ascii", "replace").splitlines():
            if not line.startswith(" "):  # the licence
                yield line.split()

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            raise DataError(
                f"{self.folder}: has no {name}; give WordNet's folder (apt install wordnet-base brings it)"
            ) from None
