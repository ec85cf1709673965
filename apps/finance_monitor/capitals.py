"""Capitals: names in a headline by its capital letters, for want of a model that knows names.

Only sentence case tells: in Title Case or ALL CAPS, and in Chinese, capitals mark no names.
"""

from __future__ import annotations

import re

from engine.text.vocabulary import everyday_words

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


def informative(title: str) -> bool:
    """Whether capitals mark names here: so where a word that Title Case would raise stands in lower case."""
    words = re.findall(r"[^\W\d_]+", title)
    return any(len(word) > 3 and word.islower() and word not in _LOW_IN_TITLE_CASE for word in words)


def runs(title: str) -> list[str]:
    """Runs of capitalised words, without those that name no company."""
    found: list[list[str]] = [[]]
    link: list[str] = []
    starts = True
    for token in _TOKEN.findall(title):
        bare = _POSSESSIVE.sub("", token).rstrip(".")
        capital = bare[:1].isupper() or (bare.startswith("$") and bare[1:2].isalpha())
        if capital and not (starts and not found[-1] and _opens_sentence(bare)):
            found[-1] += [*link, bare] if found[-1] else [bare]
            link = []
            if _POSSESSIVE.search(token):
                found.append([])
        elif found[-1] and token.lower() in _LINKS and not link:
            link = [token]
            starts = False
            continue
        else:
            found.append([])
        link = []
        starts = token in {":", ";", ".", "!", "?", "-", "—", "–", '"', "“", "‘"}
    return [" ".join(run) for run in map(_trimmed, found) if run]


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
