"""Explanation: which past items and which words speak for a candidate, and its reasons in a few short lines.

What adds up exactly stands in the row itself (see `standing.Ranked`): contributions and moves, a behaviour at a time.
"""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np

from apps.recommender.past import Ints, Past
from apps.recommender.ranker import Recommender
from apps.recommender.rerank import Reranker
from apps.recommender.rules import Receipt
from apps.recommender.standing import BASE, Evidence, Ranked
from engine.explain import Explainer, Explanation, Word

TITLE = 50
"""Letters of a title in a reason."""
REASONS = 3
WORTH = 0.25
"""Share, of the strongest past item's, from which a second one is named."""
NEW = 30.0
"""Days in which an item is new."""
USUAL = 0.3
"""Difference of the logarithms up to which a price is near the usual one."""
MOST_WORDS = 60
"""Words, from the first, that are left out in turn."""
PARTS = {
    "popularity": "popular",
    "segment": "popular with users like you",
    "cross-encoder": "reads as what comes next for you",
}
OF_HISTORY = {
    "behaviour": "goes with what you took, by what others took together",
    "sequence": "often next after what you took last",
}
OWN = {
    "popularity.recent": "popular lately",
    "popularity.trend": "popular lately",
    "catalogue.category_affinity": "of a category that you often take",
    "catalogue.seller_affinity": "from a seller that you often take",
    "catalogue.tags_affinity": "of a kind that you often take",
}
"""Features with a line of their own; the others stand for their part."""
WORDY = ("text", "catalogue.words_last", "catalogue.words_recent", "catalogue.words_max")


def evidence(recommender: Recommender, past: Past, numbers: Ints) -> list[tuple[Evidence, ...]]:
    """Of each candidate the past items that its texts speak of, the strongest first; the shares of all, with what no
    past item says, are the text score (`TextModel.parts`)."""
    items = recommender.items
    taken, parts = recommender.features.text.parts(past, numbers)
    different, places = np.unique(taken, return_inverse=True)
    shares = np.zeros((len(different), len(numbers)))
    np.add.at(shares, places, parts[:-1])
    ids = items.ids[different].tolist()
    titles = [_title(text) for text in items.texts(ids)] if ids else []
    order = np.argsort(-np.abs(shares), axis=0, kind="stable").T
    return [
        tuple(Evidence(ids[at], titles[at], float(shares[at, row])) for at in each.tolist())
        for row, each in enumerate(order)
    ]


def reasons(row: Ranked) -> list[str]:
    """Why an explained row stands where it does: what spoke most for it, and what moved it."""
    said: dict[str, float] = defaultdict(float)
    for contributions in row.contributions.values():
        for name, value in contributions.items():
            if name != BASE and (line := _line(name, row)):
                said[line] += value
    strongest = sorted(said, key=lambda line: -said[line])[:REASONS]
    found = [line for line in strongest if said[line] > 0]
    return [*(found or ["nothing speaks for it more than for others"]), *map(_moved, row.moves)]


def words(recommender: Recommender, past: Past, number: int) -> tuple[str, list[Word]]:
    """A candidate's text, and what the text score would lose without each of its words: the greater, the more the word
    speaks for it. They need not add up."""
    text = recommender.items.texts([recommender.items.ids[number]])[0]
    spans = [found.span() for found in re.finditer(r"\w+", text)][:MOST_WORDS]
    read = recommender.features.text.grown([text, *(text[:start] + text[end:] for start, end in spans)]).reader
    user, _ = recommender.features.text.reader.users(past)
    scores = (read.vectors @ user[0] + read.biases).astype(np.float64)
    return text, [
        Word(0, start, end, text[start:end], float(scores[0] - scores[at])) for at, (start, end) in enumerate(spans, 1)
    ]


def read_words(reranker: Reranker, past: Past, number: Ints) -> Explanation:
    """How much each word of what was taken, and of one candidate, moved the cross-encoder's logit."""
    (pair,) = reranker.pairs(past, number)
    return Explainer(reranker.encoder.predictor).explain(pair)[0]


def _line(name: str, row: Ranked) -> str:
    """What a feature, or a part, says for a row in words; empty where it has none."""
    value = row.features.get(name, 0.0)
    if name.startswith(WORDY):
        return _because(row)
    if name == "catalogue.age_days":
        return "new" if value <= NEW else ""
    if name == "catalogue.price_to_usual":
        return "near the price that you usually pay" if abs(value) <= USUAL else ""
    if name in OWN:
        return OWN[name] if value > 0 else ""
    part = name.split(".")[0]
    return OF_HISTORY.get(part, "") if row.evidence and part in OF_HISTORY else PARTS.get(part, "")


def _because(row: Ranked) -> str:
    spoken = [one for one in row.evidence if one.item_id != row.item_id and one.share > 0 and one.title]
    titles = [one.title for one in spoken[:2] if one.share >= WORTH * spoken[0].share]
    return f"because of {' and '.join(titles)} in your history" if titles else ""


def _moved(receipt: Receipt) -> str:
    if receipt.before is None or receipt.after is None or receipt.before == receipt.after:
        return f"weighed by {receipt.cause}"
    way = "up" if receipt.after < receipt.before else "down"
    return f"moved {way} by {receipt.cause}, from {receipt.before} to {receipt.after}"


def _title(text: str) -> str:
    first = text.split(". ")[0]
    return first if len(first) <= TITLE else first[: TITLE - 1].rstrip() + "…"
