"""Companies of the items, one after the other: a name's short form stands for the longer one told before.

A model that reads names (see `towards`) misses one now and then: names that were told before are found again. Where
there is none they are known by their capitals: learnt from headlines in sentence case, and found again in Title Case
or ALL CAPS, where capitals tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apps.finance_monitor import capitals
from apps.finance_monitor.watchlist import Company, WatchList

if TYPE_CHECKING:
    from apps.finance_monitor.labels import Labelled

REMEMBERED = timedelta(days=7)
"""A name not seen for so long is forgotten, so memory stays bounded."""


class Companies:
    """Finds the companies of a headline and remembers names from one headline to the next.

    Args:
        watch_list: companies to find outright, in any case and script; names alone will do.
    """

    def __init__(self, watch_list: WatchList | Iterable[str] = ()) -> None:
        self._seen: dict[str, tuple[str, datetime]] = {}
        self.watch(watch_list)

    def watch(self, companies: WatchList | Iterable[str]) -> None:
        """Take another watch list."""
        self._watched = companies if isinstance(companies, WatchList) else WatchList(map(Company, companies))

    def about(self, labelled: Labelled) -> dict[str, bool]:
        """The item's companies, and whether it is bad news for each."""
        item, label = labelled.item, labelled.label
        if labelled.companies is None:
            bad = label is not None and label.counts_as_negative
            return dict.fromkeys(self.find(item.title, item.tickers, labelled.time), bad)
        news = label is not None and label.is_news
        found: dict[str, bool] = {}
        for one in labelled.companies:
            name = one.name if one.name in self._watched else self._long_form(one.name)
            found[name] = found.get(name, False) or (news and one.sentiment == "negative")
        if label and label.topics:
            for name in self._told_before(item.title, found):
                found[name] = label.counts_as_negative
        self._remember(found, labelled.time)
        return found

    def find(self, title: str, symbols: Iterable[str], now: datetime) -> tuple[str, ...]:
        """Names in the order of the text, each once; a short form stands for the one longer name it begins."""
        spans = self._watched.find(title)
        found = [span.name for span in spans if span.name]
        rest = title
        for span in spans:
            rest = rest[: span.start] + "," * (span.end - span.start) + rest[span.end :]
        if capitals.informative(title):
            found += [self._long_form(run) for run in capitals.runs(rest)]
        else:
            found += self._told_before(rest)
        self._remember(found, now)
        return tuple(dict.fromkeys([*found, *(self._watched.ticker(symbol) for symbol in symbols)]))

    def _told_before(self, title: str, beside: Iterable[str] = ()) -> list[str]:
        """Names of several words that were told before and stand in the title, but for those within others."""
        folded, others = title.casefold(), [name.casefold() for name in beside]
        return [
            name
            for key, (name, _) in self._seen.items()
            if " " in key and key in folded and not any(key in other for other in others)
        ]

    def _remember(self, names: Iterable[str], now: datetime) -> None:
        for name in names:
            self._seen[name.casefold()] = (name, now)
        if len(self._seen) > 5000:
            self._seen = {key: value for key, value in self._seen.items() if now - value[1] < REMEMBERED}

    def _long_form(self, run: str) -> str:
        key = run.casefold()
        if key in self._seen:
            return self._seen[key][0]
        longer = {name for known, (name, _) in self._seen.items() if known.startswith(key + " ")}
        return longer.pop() if len(longer) == 1 else run
