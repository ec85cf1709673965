"""Confidence: how well each sentence answers a question, whether any does, and the bar below which the bot says that it
does not know.

Two logistic regressions over a few figures of the search, fitted on dev questions with and without an answer. The bar
comes from the scores of dev questions without one, each scored by a fit that has not seen it: with n of them, the
share that would be answered is held below a rate `a` by taking the smallest bar at which (answered + 1) / (n + 1) <= a.
For a new question that is exchangeable with them, the probability of an answer is then at most `a` (conformal risk
control, Angelopoulos et al. 2024, arXiv 2208.02814).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.customer_service.evidence import Evidence
from apps.customer_service.finder import Search
from apps.customer_service.logistic import Logistic, Values
from engine.errors import InputError
from engine.text.terms import codes, terms

FOLDS = 10
NEIGHBOURS = 10
"""Past questions that vote on whether there is an answer, and in which document."""
PLAIN = 0.6
"""Share of a question, by rarity, that a sentence with its code holds if the question is little more than the code."""
UNREAD = -10.0
"""Logit that stands for a sentence which no cross-encoder read."""


@dataclass(frozen=True)
class Sample:
    """A dev question with what was found for it."""

    sentences: Values
    """Of each sentence, shape (sentences, figures); see `of_sentences`."""
    right: NDArray[np.bool_]
    """Which of them answer it, shape (sentences,); none of an unanswerable one."""
    whole: Values
    """Of the search, shape (figures,); see `of_search`."""
    answerable: bool
    plain: bool = False
    """As `plain` says."""


def of_sentences(search: Search, evidence: Sequence[Evidence]) -> Values:
    """The figures of each sentence: cross-encoder, cosines, its passage's scores, terms and codes in common."""
    asked = set(terms(search.asked))
    return np.array(
        [
            [
                UNREAD if one.logit is None else one.logit,
                one.logit is not None,
                one.dense,
                one.asked,
                one.found.score,
                one.found.dense,
                one.found.asked,
                one.found.lexical,
                search.index.share(asked, set(terms(one.text))),
                search.index.share(asked, set(terms(f"{one.passage.title} {one.passage.chunk.heading} {one.text}"))),
                agreement(search.asked, one.text),
            ]
            for one in evidence
        ],
        dtype=np.float64,
    )


def agreement(asked: str, text: str) -> float:
    """Whether a text has a code that is asked for: 1 or -1, and 0 where none is asked for."""
    wanted = set(codes(asked))
    return 0.0 if not wanted else 1.0 if wanted & set(codes(text)) else -1.0


def explained(search: Search, evidence: Sequence[Evidence]) -> float:
    """How much of the question a sentence holds that has its code, 0 to 1; 0 where no code is asked for."""
    asked = set(terms(search.asked))
    shares = [
        search.index.share(asked, set(terms(one.text))) for one in evidence if agreement(search.asked, one.text) > 0
    ]
    return max(shares, default=0.0)


def plain(search: Search, evidence: Sequence[Evidence]) -> bool:
    """Whether the question is little more than a code, and a sentence has that code."""
    return explained(search, evidence) >= PLAIN


def of_search(search: Search, evidence: Sequence[Evidence], answerable: float) -> Values:
    """The figures of the whole search, to which those of the sentences' scores are added.

    Args:
        answerable: log-odds that the evidence answers the question (see `answerable.py`).
    """
    logits = sorted((one.logit for one in evidence if one.logit is not None), reverse=True) or [UNREAD]
    dense = sorted({one.passage.chunk.document: one.dense for one in reversed(search.found)}.values(), reverse=True)
    asked = set(terms(search.asked))
    best = search.found[0].passage if search.found else None
    held = set(terms(f"{best.title} {best.chunk.heading} {best.chunk.text}")) if best else set()
    near = search.index.neighbours(search.recall, NEIGHBOURS)
    total = max(sum(cosine for cosine, _ in near), 1e-6)
    return np.array(
        [
            logits[0],
            logits[0] - logits[min(4, len(logits) - 1)],
            max((one.dense for one in evidence), default=0.0),
            (asked_before := max((one.asked for one in evidence), default=0.0)),
            (unanswered := search.recall.missed()),
            asked_before - unanswered,
            dense[0] if dense else 0.0,
            dense[0] - dense[min(3, len(dense) - 1)] if dense else 0.0,
            sum(cosine for cosine, document in near if document is None) / total,
            sum(cosine for cosine, document in near if document == best.chunk.document) / total if best else 0.0,
            search.index.share(asked, held),
            max((agreement(search.asked, one.text) for one in evidence), default=0.0),
            # Of a question that is little more than a code: how much of it a sentence with that code holds.
            explained(search, evidence),
            math.log1p(len(asked)),
            answerable,
        ]
    )


@dataclass(frozen=True)
class Confidence:
    sentence: Logistic
    """Whether a sentence answers the question."""
    answer: Logistic
    """Whether there is an answer at all."""
    unanswerable: tuple[float, ...]
    """Scores of the dev questions without an answer, each by a fit that had not seen it, in rising order."""

    def weigh(self, search: Search, evidence: Sequence[Evidence], answerable: float) -> tuple[Values, float]:
        """(how well each sentence answers, 0 to 1; the probability that there is an answer).

        Args:
            answerable: as of `of_search`.
        """
        if not evidence:
            return np.zeros(0), 0.0
        scores = self.sentence(of_sentences(search, evidence))
        return scores, _sure(self.answer, of_search(search, evidence, answerable), scores, plain(search, evidence))

    def answer_of(self, sample: Sample) -> float:
        """As `weigh`, of a dev question."""
        return _score(self.sentence, self.answer, sample)

    def bar(self, rate: float) -> float:
        """The probability that an answer needs, if at most a share `rate` of the unanswerable may be answered.

        Raises:
            InputError: no rate, or one that so few dev questions cannot vouch for.
        """
        count = len(self.unanswerable)
        if not 0 < rate <= 1:
            raise InputError(f"error rate {rate}: give a share above 0 and up to 1, such as 0.05")
        allowed = math.floor(rate * (count + 1) + 1e-9) - 1
        if allowed < 0:
            raise InputError(
                f"error rate {rate}: {count} questions without an answer cannot vouch for less than "
                f"{1 / (count + 1):.3f}; add more to the dev file and train again"
            )
        if allowed >= count:
            return 0.0
        # Strictly above the highest score that must not be answered.
        return float(np.nextafter(self.unanswerable[count - 1 - allowed], 2.0))


def fit(samples: Sequence[Sample], *, seed: int = 13) -> Confidence:
    """Learn from dev questions.

    Raises:
        InputError: too few of either kind.
    """
    from sklearn.model_selection import StratifiedKFold

    answerable = np.array([one.answerable for one in samples], dtype=bool)
    if min(answerable.sum(), (~answerable).sum()) < 2 * FOLDS:
        raise InputError(
            f"{int(answerable.sum())} dev questions with an answer, {int((~answerable).sum())} without: it takes "
            f"{2 * FOLDS} of each to learn when to say nothing"
        )
    scores: list[float] = []
    for seen, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(answerable, answerable):
        sentence, answer = _fit([samples[at] for at in seen])
        scores += [_score(sentence, answer, samples[at]) for at in unseen if not answerable[at]]
    return Confidence(*_fit(samples), tuple(sorted(scores)))


def _fit(samples: Sequence[Sample]) -> tuple[Logistic, Logistic]:
    sentence = Logistic.fit(
        np.concatenate([one.sentences for one in samples]), np.concatenate([one.right for one in samples])
    )
    whole = np.array([_joined(one.whole, sentence(one.sentences)) for one in samples])
    return sentence, Logistic.fit(whole, np.array([one.answerable for one in samples]))


def _score(sentence: Logistic, answer: Logistic, sample: Sample) -> float:
    return _sure(answer, sample.whole, sentence(sample.sentences), sample.plain)


def _sure(answer: Logistic, whole: Values, scores: Values, plain: bool) -> float:
    # Too few dev questions are codes and little more for a regression to learn that they have an answer.
    return 1.0 if plain else float(answer(_joined(whole, scores)[None])[0])


def _joined(whole: Values, scores: Values) -> Values:
    """The search's figures and those of the sentences' scores, as log-odds: the best, and how far it leads."""
    odds = np.sort(np.log(np.clip(scores, 1e-6, 1 - 1e-6) / np.clip(1 - scores, 1e-6, 1)))[::-1]
    return np.array([*whole, odds[0], odds[0] - odds[min(1, len(odds) - 1)], odds[: min(5, len(odds))].mean()])
