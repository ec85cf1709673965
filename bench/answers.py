"""support-bot on its own labelled questions: the right article, the cited sentence, and when it says nothing."""

from __future__ import annotations

from dataclasses import asdict

from apps.customer_service.dialogues import read_questions
from apps.customer_service.evaluate import Figure, evaluate, mean, top
from apps.customer_service.finder import Finder, Fusion
from apps.customer_service.ingest import ingest
from apps.customer_service.learn import DEPTH
from apps.customer_service.question import Question
from apps.customer_service.settings import packaged
from bench import support
from bench.contract import Figures
from engine import Embedder, Progress


def run(*, seeds: int) -> Figures:
    """`fused_gain`: nDCG@10 over the better of dense and BM25 alone, paired; the Chinese wing is searched by an untuned
    multilingual base."""
    with Progress() as progress:
        bot = support.bot(progress)
        found = evaluate(bot, support.questions("test"), progress).figures
        progress.stage("searching the Chinese wing")
        found["zh_article_top3"] = _chinese()
    better = max(("dense", "bm25"), key=lambda part: found[f"ndcg10_{part}"].value)
    found["fused_gain"] = found[f"gain_over_{better}"]
    return Figures(
        {name: one.value for name, one in found.items()},
        {name: (one.low, one.high) for name, one in found.items()},
        {"seeds": 1, "bar": round(bot.bar, 4), "fusion": asdict(bot.models.fusion)},
    )


def _chinese() -> Figure:
    knowledge, embedder = support.fresh_knowledge("chinese"), Embedder("multilingual")
    ingest([packaged("articles/zh")], knowledge, embedder, Progress(quiet=True))
    finder = Finder(knowledge, embedder, Fusion())
    asked = [one for one in read_questions(support.questions("test.zh")) if one.article]
    return mean([top(finder.find(Question.of(one.text), DEPTH), one) for one in asked])
