"""Headlines whose companies have unlike news: the sentiment towards each, against the headline's given to all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from apps.finance_monitor import learn
from apps.finance_monitor.towards import asked
from bench.contract import Figures
from bench.newsroom import Newsroom
from engine import Predictor, Progress
from engine.evaluate.intervals import bootstrap

SENTIMENTS = ("negative", "neutral", "positive")


def run(*, seeds: int) -> Figures:
    """Means over seeds of the deployed models, over all mentions of companies; intervals over headlines."""
    tested = learn.headlines([learn.OPPOSITES])
    mentions = [(one, name) for one in tested for name, _ in one.companies]
    truth = _numbers([dict(one.companies)[name] for one, name in mentions])
    towards, alike = [], []
    with Progress() as progress:
        for newsroom in Newsroom.trained(seeds, progress):
            pairs = [asked(one.title, name, one.spans) for one, name in mentions]
            answers = Predictor.open(newsroom.company.folder).predict(pairs)
            towards.append(_numbers([answer["sentiment"].label for answer in answers]))
            answers = Predictor.open(newsroom.news.folder).predict([one.title for one, _ in mentions])
            alike.append(_numbers([answer["sentiment"].label for answer in answers]))

    def macro_f1(said: Sequence[NDArray[np.int64]], over: NDArray[np.intp]) -> float:
        return float(np.mean([f1_score(truth[over], each[over], average="macro") for each in said]))

    stories = [one.story for one, _ in mentions]
    own, low, high = bootstrap(lambda over: macro_f1(towards, over), stories)
    gain, least, most = bootstrap(lambda over: macro_f1(towards, over) - macro_f1(alike, over), stories)
    settings = {
        "seeds": seeds,
        "headlines": len(tested),
        "mentions": len(mentions),
        "f1_of_sentiments": {
            name: round(float(np.mean([f1_score(truth == number, each == number) for each in towards])), 4)
            for number, name in enumerate(SENTIMENTS)
        },
        "macro_f1_of_headlines": round(own - gain, 4),
    }
    return Figures({"macro_f1": own, "gain": gain}, {"macro_f1": (low, high), "gain": (least, most)}, settings)


def _numbers(labels: Sequence[str]) -> NDArray[np.int64]:
    return np.array([SENTIMENTS.index(label) for label in labels])
