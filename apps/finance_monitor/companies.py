"""Companies that a headline names: a watch list, ticker symbols, and names by their capitals.

Names are learnt from headlines in sentence case, where capitals mean something; in Title Case or ALL CAPS headlines,
and in Chinese, only names already known (or on the watch list) are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from engine.text.vocabulary import everyday_words

REMEMBERED = timedelta(days=7)
"""A name not seen for so long is forgotten, so memory stays bounded."""

_TOKEN = re.compile(r"\$?[\w&][\w&'’.-]*|[^\w\s]")
_POSSESSIVE = re.compile(r"['’]s?$")
_LINKS = frozenset({"&", "de", "of", "del", "da", "do", "di", "la"})
_LOW_IN_TITLE_CASE = frozenset({"with", "from", "over", "into", "than", "after", "amid", "upon", "that", "this"})
_LEGAL = frozenset(
    {"inc", "corp", "ltd", "plc", "ag", "sa", "nv", "se", "ab", "oyj", "asa", "gmbh", "llc", "co", "spa", "as"}
)
_NOT_COMPANIES = frozenset(
    """january february march april may june july august september october november december jan feb mar apr jun jul
    aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday q1 q2 q3 q4 h1 h2 fy ceo cfo
    coo cto chairman ceos ipo ebit ebitda eps gdp cpi pmi ai it us usa u.s uk u.k eu uae eur usd gbp sek nok dkk
    chf jpy cny inr brl mln bn mn america american americas britain british england london scotland wales ireland
    irish europe european eurozone asia asian africa african china chinese japan japanese tokyo india indian
    mumbai delhi germany german berlin frankfurt france french paris italy italian milan rome spain spanish madrid
    portugal lisbon russia russian moscow ukraine canada canadian toronto mexico mexican brazil brazilian
    argentina chile australia australian sydney korea korean seoul taiwan hong kong singapore malaysia indonesia
    thailand vietnam turkey turkish istanbul israel saudi qatar dubai egypt nigeria kenya south north east west
    latin nordic baltic finland finnish helsinki sweden swedish stockholm norway norwegian oslo denmark danish
    copenhagen poland polish warsaw netherlands dutch amsterdam belgium brussels austria vienna switzerland swiss
    zurich greece greek athens new york washington chicago texas california fed federal reserve ecb boe boj imf
    opec un nato who sec ftc doj fda congress senate parliament government treasury wall street nasdaq dow nikkei
    ftse dax cac stoxx hang seng s&p brent wti bund gilt dollar euro yen pound yuan breaking update exclusive live
    watch analysis opinion correction alert factbox the a an in on at as for after with
    """.split()
)


class Companies:
    """Finds the companies of a headline and remembers names from one headline to the next.

    Args:
        watch_list: names to find outright, in any case and script.
    """

    def __init__(self, watch_list: Iterable[str] = ()) -> None:
        self._seen: dict[str, tuple[str, datetime]] = {}
        self.watch(watch_list)

    def watch(self, names: Iterable[str]) -> None:
        """Take another watch list."""
        self._watched = {name.casefold(): name for name in names}

    def find(self, title: str, tickers: Iterable[str], now: datetime) -> tuple[str, ...]:
        """Names in the order of the text, each once; a short form stands for the one longer name it begins."""
        folded = title.casefold()
        found = [name for key, name in self._watched.items() if key in folded]
        if _informative(title):
            found += [self._long_form(run) for run in _runs(title)]
        else:
            found += [name for key, (name, _) in self._seen.items() if " " in key and key in folded]
        for name in found:
            self._seen[name.casefold()] = (name, now)
        if len(self._seen) > 5000:
            self._seen = {key: value for key, value in self._seen.items() if now - value[1] < REMEMBERED}
        names = dict.fromkeys([*found, *(f"${ticker.lstrip('$').upper()}" for ticker in tickers)])
        return tuple(names)

    def _long_form(self, run: str) -> str:
        key = run.casefold()
        if key in self._seen:
            return self._seen[key][0]
        longer = {name for known, (name, _) in self._seen.items() if known.startswith(key + " ")}
        return longer.pop() if len(longer) == 1 else run


def _informative(title: str) -> bool:
    """Whether capitals mark names here: so where a word that Title Case would raise stands in lower case."""
    words = re.findall(r"[^\W\d_]+", title)
    return any(len(word) > 3 and word.islower() and word not in _LOW_IN_TITLE_CASE for word in words)


def _runs(title: str) -> list[str]:
    """Runs of capitalised words, without those that name no company."""
    runs: list[list[str]] = [[]]
    link: list[str] = []
    starts = True
    for token in _TOKEN.findall(title):
        bare = _POSSESSIVE.sub("", token).rstrip(".")
        capital = bare[:1].isupper() or (bare.startswith("$") and bare[1:2].isalpha())
        if capital and not (starts and not runs[-1] and _opens_sentence(bare)):
            runs[-1] += [*link, bare] if runs[-1] else [bare]
            link = []
            if _POSSESSIVE.search(token):
                runs.append([])
        elif runs[-1] and token.lower() in _LINKS and not link:
            link = [token]
            starts = False
            continue
        else:
            runs.append([])
        link = []
        starts = token in {":", ";", ".", "!", "?", "-", "—", "–", '"', "“", "‘"}
    return [" ".join(run) for run in map(_trimmed, runs) if run]


def _trimmed(run: list[str]) -> list[str]:
    """The run without its article and legal form; empty if it is all places, dates, offices and the like."""
    while run and run[-1].lower().strip(".") in _LEGAL:
        run = run[:-1]
    if run and run[0].lower() in {"the", "a", "an"}:
        run = run[1:]
    names_something = any(word.lower().strip(".") not in _NOT_COMPANIES | _LINKS for word in run)
    return run if names_something and len(" ".join(run)) > 2 else []


def _opens_sentence(word: str) -> bool:
    """A first word is capitalised in any case: taken for a name only if it is no word of everyday English."""
    if word.isupper() and len(word) > 1:
        return False
    lower = word.lower()
    return lower in everyday_words() or lower.removesuffix("s") in everyday_words()
