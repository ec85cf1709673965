"""Turns that lean on those before them: found by the rewritten question, and what that costs turns that stand alone."""

from __future__ import annotations

import numpy as np

from apps.customer_service.dialogues import read_questions
from apps.customer_service.evaluate import mean, ranked
from bench import support
from bench.contract import Figures
from engine import Progress


def run(*, seeds: int) -> Figures:
    """`standalone_loss`: of questions that need no history, the share found without one less the share found behind
    another customer's turns."""
    with Progress() as progress:
        bot = support.bot(progress)
        asked = read_questions(support.questions("test"))
    leaning = [one for one in asked if one.kind == "follow_up"]
    alone = [one for one in asked if one.kind == "answerable"]

    whole = np.array([ranked(bot, one.text, one, one.history) for one in leaning], float)
    raw = np.array([ranked(bot, one.text, one) for one in leaning], float)
    # Each question stands behind the history of a follow-up that is about something else.
    strange = [leaning[number % len(leaning)].history for number in range(len(alone))]
    behind = [ranked(bot, one.text, one, past) for one, past in zip(alone, strange, strict=True)]
    without = np.array([ranked(bot, one.text, one) for one in alone], float)
    figures = {
        "article_top3": mean(whole),
        "gain_over_raw": mean(whole - raw),
        "standalone_loss": mean(without - np.array(behind, float)),
    }
    return Figures(
        {name: one.value for name, one in figures.items()},
        {name: (one.low, one.high) for name, one in figures.items()},
        {"seeds": 1, "follow_ups": len(leaning), "standalone": len(alone)},
    )
