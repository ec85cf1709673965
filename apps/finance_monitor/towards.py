"""Towards: the companies of headlines, and the sentiment towards each.

    headline ─> watch list, tickers, names (the labeller's, or capitals) ─> who
    headline with its companies blanked | the clause with the one asked about ─> how that one fares

A headline with one company is about that company: they share its sentiment, and no second model is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.finance_monitor import capitals
from apps.finance_monitor.watchlist import Span, WatchList
from engine import Predictor

if TYPE_CHECKING:
    from apps.finance_monitor.items import NewsItem
    from apps.finance_monitor.labels import Label

THIS, OTHER = "this company", "another firm"
"""Stand for the company asked about and for the others, so that what the model learns does not hang on names."""
_CLAUSE = re.compile(r"(?:[;:,.!?–—]|\s-)\s+|\s+(?=(?:while|whereas|but|as|and|though|although)\s)", re.IGNORECASE)
"""Where one clause may end and the next begins."""


@dataclass(frozen=True)
class Towards:
    """A company that an item is about."""

    name: str
    sentiment: str


class Reader:
    """Reads who a headline is about, and what it means for each.

    Args:
        watch_list: companies to find outright.
        sentiment: answers pairs that `asked` makes; without it a headline's sentiment is that of all its companies.
    """

    def __init__(self, watch_list: WatchList, sentiment: Predictor | None) -> None:
        self.watch_list = watch_list
        self._sentiment = sentiment

    def read(
        self,
        items: Sequence[NewsItem],
        languages: Sequence[str | None],
        labels: Sequence[Label | None],
        named: Sequence[Sequence[Span] | None],
    ) -> list[tuple[Towards, ...]]:
        """The companies of each item, in the order of its text; none of an item that is on no topic.

        Args:
            named: where a model found companies in each title; None: none looked, and they are known by capitals.
        """
        spans = {
            place: self.spans(items[place].title, named[place])
            for place, label in enumerate(labels)
            if label and label.topics
        }
        several = [
            (place, name)
            for place, found in spans.items()
            if _knows(self._sentiment, languages[place]) and len(names := _each(found)) > 1
            for name in names
        ]
        answers = {}
        if self._sentiment and several:
            texts = [asked(items[place].title, name, spans[place]) for place, name in several]
            for key, answer in zip(several, self._sentiment.predict(texts), strict=True):
                answers[key] = str(answer["sentiment"].label)
        found = []
        for place, (item, label) in enumerate(zip(items, labels, strict=True)):
            names = _each(spans.get(place, ())) if label else []
            if label and label.topics:
                names += [self.watch_list.ticker(symbol) for symbol in item.tickers]
            usual = label.sentiment if label else ""
            found.append(tuple(Towards(name, answers.get((place, name), usual)) for name in dict.fromkeys(names)))
        return found

    def spans(self, title: str, named: Sequence[Span] | None) -> list[Span]:
        """Where companies stand in a title; what the watch list finds goes before names."""
        known = self.watch_list.find(title)
        others = [span for span in named if _is_name(span.name, title)] if named is not None else _capitals(title)
        free = [one for one in others if all(one.end <= span.start or span.end <= one.start for span in known)]
        return sorted([span for span in known if span.name] + free, key=lambda span: span.start)


def asked(title: str, name: str, spans: Sequence[Span]) -> tuple[str, str]:
    """What the model of sentiment towards a company reads: the headline, and its clause about the company.

    The clause says which of two news is meant, and ends at the companies beside it, so that of "A overtakes B" each has
    its own side: a small model finds that hard to tell from the whole.

    Args:
        spans: of all companies in the title; they do not overlap.
    """
    first = next(span for span in spans if span.name == name)
    cuts = [0, *(cut.end() for cut in _CLAUSE.finditer(title)), len(title)]
    others = [span for span in spans if span.name != name]
    start = max(cut for cut in [*cuts, *(other.end for other in others)] if cut <= first.start)
    end = min(cut for cut in [*cuts, *(other.start for other in others)] if cut >= first.end)
    return _blanked(title, name, spans, 0, len(title)), _blanked(title, name, spans, start, end).strip()


def _blanked(title: str, name: str, spans: Iterable[Span], start: int, end: int) -> str:
    """A part of the title, with its companies blanked."""
    parts, at = [], start
    for span in sorted(spans, key=lambda one: one.start):
        if start <= span.start and span.end <= end:
            parts += [title[at : span.start], THIS if span.name == name else OTHER]
            at = span.end
    return "".join([*parts, title[at:end]])


def _knows(model: Predictor | None, language: str | None) -> bool:
    return model is not None and language in model.spec.languages


def _is_name(found: str, title: str) -> bool:
    """Words without a capital are none in a title that has capitals."""
    return not found.islower() or not found.isascii() or title.islower()


def _each(spans: Iterable[Span]) -> list[str]:
    return list(dict.fromkeys(span.name for span in spans))


def _capitals(title: str) -> Iterator[Span]:
    at = 0
    for run in capitals.runs(title) if capitals.informative(title) else ():
        if (start := title.find(run, at)) >= 0:
            at = start + len(run)
            yield Span(start, at, run)
