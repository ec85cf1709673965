"""Evaluate: labelled questions in, figures with intervals out; no judge model has a part in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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


@dataclass(frozen=True)
class Figure:
    value: float
    low: float
    high: float
    """Of the 95% bootstrap interval over questions."""


def evaluate(bot: Bot, questions: Path, progress: Progress) -> dict[str, Figure]:
    """The figures of a bot.

    Raises:
        InputError: the file has no question with an answer, or names articles that the bot does not have.
    """
    asked = read_questions(questions)
    here = {document.id for document in bot.knowledge.documents()}
    if missing := sorted({name for one in asked for name in one.articles} - here):
        raise InputError(f"{questions}: {len(missing)} articles of it are not ingested, {missing[0]} for one")
    by_kind = {kind: [one for one in asked if one.kind == kind] for kind in dict.fromkeys(one.kind for one in asked)}
    direct, without = by_kind.get("answerable", []), by_kind.get("unanswerable", [])
    leaning = by_kind.get("follow_up", [])
    if not direct:
        raise InputError(f"{questions}: no question of kind answerable")
    progress.stage(f"asking {len(asked):,} questions")
    found: dict[str, Figure] = {}
    searches = [bot.finder.find(Question.of(one.text, one.history), DEPTH) for one in direct]
    found["article_top3"] = mean([ranked(bot, one.text, one) for one in direct])
    found["article_top3_search"] = mean([top(search, one) for search, one in zip(searches, direct, strict=True)])
    fused = np.array([ndcg(search, one.articles) for search, one in zip(searches, direct, strict=True)])
    found["ndcg10"] = mean(fused)
    for name, weight in (("dense", 0.0), ("bm25", 1.0)):
        part = Finder(bot.knowledge, bot.models.embedder, Fusion(lexical=weight, past=0.0))
        alone = np.array([ndcg(part.find(Question.of(one.text), DEPTH), one.articles) for one in direct])
        found[f"ndcg10_{name}"] = mean(alone)
        found[f"gain_over_{name}"] = mean(fused - alone)
    answers = [bot.answer(one.text, one.history) for one in direct]
    told = [answer.kind in ("extract", "template", "generated") for answer in answers]
    found["coverage"] = mean(told)
    right = [quotes(answer, one) for answer, one, yes in zip(answers, direct, told, strict=True) if yes]
    if right:
        found["cited_sentence"] = mean(right)
    if without:
        wrong = [bot.answer(one.text, one.history).kind in ("extract", "template", "generated") for one in without]
        found["wrong_when_unanswerable"] = mean(wrong)
    if leaning:
        whole = [ranked(bot, one.text, one, one.history) for one in leaning]
        raw = [ranked(bot, one.text, one) for one in leaning]
        found["follow_up_top3"] = mean(whole)
        found["follow_up_gain_over_raw"] = mean(np.array(whole, float) - np.array(raw, float))
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
