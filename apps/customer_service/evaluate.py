"""Evaluate: labelled questions in, figures with intervals out; no judge model has a part in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apps.customer_service import extract
from apps.customer_service.answers import Answer, Turn
from apps.customer_service.bot import Bot
from apps.customer_service.dialogues import Asked, read_questions
from apps.customer_service.finder import Finder, Fusion, Search
from apps.customer_service.learn import DEPTH, ndcg, says
from apps.customer_service.question import Question
from engine import Progress
from engine.errors import InputError

TOP = 3
ROUNDS = 1_000
TOLD = ("extract", "template", "generated")
"""Kinds of answers that claim something."""
TALK = {"small_talk": "talk", "abuse": "talk", "human": "handoff"}
"""Kinds of turns that are no question, and the kind of answer that each should get."""


@dataclass(frozen=True)
class Figure:
    value: float
    low: float
    high: float
    """Of the 95% bootstrap interval over questions."""


@dataclass(frozen=True)
class Outcome:
    """What became of one question."""

    asked: Asked
    answer: Answer
    articles: list[str]
    """That the bot would answer from, the best first."""
    confidence: float
    right: bool
    """Whether the extract cites a labelled sentence, were it shown."""

    @property
    def told(self) -> bool:
        return self.answer.kind in TOLD

    @property
    def found(self) -> bool:
        return bool(set(self.articles[:TOP]) & self.asked.articles)


@dataclass(frozen=True)
class Evaluation:
    figures: dict[str, Figure]
    outcomes: list[Outcome]

    def risk_coverage(self) -> list[tuple[float, float, float]]:
        """(bar, share of the answerable that is answered, share of the unanswerable that is answered), bars falling."""
        with_, without = (
            np.array([one.confidence for one in self.outcomes if one.asked.kind == kind])
            for kind in ("answerable", "unanswerable")
        )
        bars = sorted({0.0, *with_, *without, 1.0}, reverse=True)
        return [
            (bar, float((with_ >= bar).mean()), float((without >= bar).mean()) if len(without) else 0.0) for bar in bars
        ]


def evaluate(bot: Bot, questions: Path, progress: Progress) -> Evaluation:
    """The figures of a bot.

    Raises:
        InputError: the file has no question with an answer, or names articles that the bot does not have.
    """
    asked = read_questions(questions)
    here = {document.id for document in bot.knowledge.documents()}
    if missing := sorted({name for one in asked for name in one.articles} - here):
        raise InputError(f"{questions}: {len(missing)} articles of it are not ingested, {missing[0]} for one")
    direct = [one for one in asked if one.kind == "answerable"]
    if not direct:
        raise InputError(f"{questions}: no question of kind answerable")
    progress.stage(f"asking {len(asked):,} questions")
    outcomes = [_outcome(bot, one) for one in asked]

    def of(*kinds: str) -> list[Outcome]:
        return [one for one in outcomes if one.asked.kind in kinds]

    found: dict[str, Figure] = {"article_top3": mean([one.found for one in of("answerable")])}
    found |= _searched(bot, direct)
    found["coverage"] = mean([one.told for one in of("answerable")])
    if told := [one for one in of("answerable") if one.told]:
        found["cited_sentence"] = mean([quotes(one.answer, one.asked) for one in told])
    found["cited_sentence_of_all"] = mean([one.right for one in of("answerable")])
    if without := of("unanswerable"):
        found["wrong_when_unanswerable"] = mean([one.told for one in without])
    if leaning := of("follow_up"):
        raw = [ranked(bot, one.asked.text, one.asked) for one in leaning]
        found["follow_up_top3"] = mean([one.found for one in leaning])
        found["follow_up_gain_over_raw"] = mean(np.array([one.found for one in leaning], float) - np.array(raw, float))
    if talk := of(*TALK):
        found["talk_understood"] = mean([one.answer.kind == TALK[one.asked.kind] for one in talk])
    return Evaluation(found, outcomes)


def _outcome(bot: Bot, one: Asked) -> Outcome:
    looked = bot.look(Question.of(one.text, one.history))
    cited = [each.citation() for each in extract.choose(looked.evidence, looked.scores)]
    right = any(says(citation.quote, one.sentences) for citation in cited)
    return Outcome(one, bot.answer(one.text, one.history), looked.articles(), looked.confidence, right)


def _searched(bot: Bot, direct: Sequence[Asked]) -> dict[str, Figure]:
    """The search against its parts alone, on the same questions."""
    searches = [bot.finder.find(Question.of(one.text, one.history), DEPTH) for one in direct]
    fused = np.array([ndcg(search, one.articles) for search, one in zip(searches, direct, strict=True)])
    found = {
        "article_top3_search": mean([top(search, one) for search, one in zip(searches, direct, strict=True)]),
        "ndcg10": mean(fused),
    }
    for name, weight in (("dense", 0.0), ("bm25", 1.0)):
        part = Finder(bot.knowledge, bot.models.embedder, Fusion(lexical=weight, past=0.0, codes=0.0))
        alone = np.array([ndcg(part.find(Question.of(one.text), DEPTH), one.articles) for one in direct])
        found[f"ndcg10_{name}"] = mean(alone)
        found[f"gain_over_{name}"] = mean(fused - alone)
    return found


def ranked(bot: Bot, text: str, one: Asked, history: Sequence[Turn] = ()) -> bool:
    """Whether a right article is among the first three that the bot would answer from."""
    return bool(set(bot.look(Question.of(text, history)).articles()[:TOP]) & one.articles)


def top(search: Search, one: Asked) -> bool:
    """Whether a right article is among the first three."""
    order = list(dict.fromkeys(each.passage.chunk.document for each in search.found))
    return bool(set(order[:TOP]) & one.articles)


def quotes(answer: Answer, one: Asked) -> bool:
    """Whether a citation holds, or stands in, a sentence that is labelled as the answer."""
    return any(says(citation.quote, one.sentences) for citation in answer.citations)


def mean(values: Sequence[bool] | np.ndarray) -> Figure:  # type: ignore[type-arg]
    """A mean with its bootstrap interval."""
    array = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(13).integers(0, len(array), (ROUNDS, len(array)))
    low, high = np.percentile(array[draws].mean(1), [2.5, 97.5])
    return Figure(float(array.mean()), float(low), float(high))
