"""Watch list: companies of a file with their aliases, tickers and context, found in a text in one pass.

Aliases are matched by Aho-Corasick, in any case and script, at word boundaries where their script has any; of those
that overlap the longest wins. Context tells "Apple" from "apple pie": words that must, or must not, stand near.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.finance_monitor import tickers

NEAR = 20
"""Characters before and after an alias in which context is looked for: three or four English words."""
_UNBROKEN = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of scripts that put no space between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""


@dataclass(frozen=True)
class Company:
    """A line of the watch list."""

    name: str
    aliases: tuple[str, ...] = ()
    tickers: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    """One of these stands near an alias, or it is another thing."""
    must_not: tuple[str, ...] = ()
    """None of these stands near."""


@dataclass(frozen=True)
class Span:
    """A company in a text."""

    start: int
    end: int
    name: str
    """"" where the context says that an alias means another thing."""


class WatchList:
    """Finds its companies in texts.

    Args:
        companies: no two with an alias or ticker in common.
    """

    def __init__(self, companies: Iterable[Company] = ()) -> None:
        self._companies = tuple(companies)
        self._tickers = {tickers.canonical(ticker): one.name for one in self._companies for ticker in one.tickers}
        self._names = frozenset(one.name for one in self._companies)
        self._automaton: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """The automaton is C memory: it is built anew from the companies."""
        return {**self.__dict__, "_automaton": None}

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def find(self, text: str) -> list[Span]:
        """Spans in order of the text that do not overlap, those ruled out by their context among them."""
        folded = fold(text)
        found = list(self._aliases(folded))
        for one in tickers.written(text):
            if one.sure or one.symbol in self._tickers:
                found.append(Span(one.start, one.end, self.ticker(one.symbol)))
        return longest(found)

    def ticker(self, symbol: str) -> str:
        """The company with the ticker; "$" and the symbol where the list has none."""
        known = tickers.canonical(symbol)
        return self._tickers.get(known) or f"${known}"

    def _aliases(self, folded: str) -> Iterable[Span]:
        if not self._companies:
            return
        if self._automaton is None:
            self._automaton = _automaton(self._companies)
        for last, (key, company) in self._automaton.iter(folded):
            start, end = last + 1 - len(key), last + 1
            if _bounded(folded, start, end):
                near = folded[max(0, start - NEAR) : start] + "\n" + folded[end : end + NEAR]
                means = not any(_stands(word, near) for word in company.must_not) and (
                    not company.must or any(_stands(word, near) for word in company.must)
                )
                yield Span(start, end, company.name if means else "")


def longest(spans: Iterable[Span]) -> list[Span]:
    """Of spans that overlap the longest; of equally long ones the first. In order of the text."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start - one.end, one.start)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda one: one.start)


def fold(text: str) -> str:
    """In lower case, letter for letter, so that places stay what they are; a curly apostrophe is a straight one."""
    return "".join(low if len(low := char.lower()) == 1 else char for char in text).replace("’", "'")


def aliases(company: Company) -> Sequence[str]:
    """All that the company is called in texts, folded."""
    return list(dict.fromkeys(fold(alias) for alias in (company.name, *company.aliases)))


def _automaton(companies: Iterable[Company]) -> Any:
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for company in companies:
        for key in aliases(company):
            automaton.add_word(key, (key, company))
    automaton.make_automaton()
    return automaton


def _stands(word: str, near: str) -> bool:
    word = fold(word)
    at = near.find(word)
    while at >= 0:
        if _bounded(near, at, at + len(word)):
            return True
        at = near.find(word, at + 1)
    return False


def _bounded(text: str, start: int, end: int) -> bool:
    """Whether words end on both sides, or the script has no such ends."""
    before = start > 0 and _joined(text[start - 1], text[start])
    after = end < len(text) and _joined(text[end - 1], text[end])
    return not before and not after


def _joined(left: str, right: str) -> bool:
    return all(char.isalnum() and not _UNBROKEN.match(char) for char in (left, right))
