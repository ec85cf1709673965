"""Milliseconds of one answer, with the cross-encoder and without."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from apps.customer_service.bot import Bot
from apps.customer_service.dialogues import read_questions
from bench import support
from bench.contract import Figures
from engine import Progress

WARM = 10


def run(*, seeds: int) -> Figures:
    """95th percentile over the labelled answerable questions, asked one after the other."""
    with Progress() as progress:
        whole = support.bot(progress)
        plain = Bot(whole.knowledge, replace(whole.models, reranker_name=None, answerable_name=None))
        texts = [one.text for one in read_questions(support.questions("test")) if one.kind == "answerable"]
        taken = {name: _milliseconds(bot, texts) for name, bot in (("p95_rerank_ms", whole), ("p95_ms", plain))}
    return Figures(
        {name: float(np.percentile(values, 95)) for name, values in taken.items()},
        {},
        {"seeds": 1, "questions": len(texts), "medians_ms": {name: float(np.median(v)) for name, v in taken.items()}},
    )


def _milliseconds(bot: Bot, texts: list[str]) -> list[float]:
    found = []
    for text in [*texts[:WARM], *texts]:
        started = time.perf_counter()
        bot.answer(text)
        found.append(1000 * (time.perf_counter() - started))
    return found[WARM:]
