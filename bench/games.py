"""Amazon Games: each of 6,000 users' next item beside 20 drawn at random; ties count against us.

Whatever learns reads the users' histories alone, whose last item is the validation target of the data set. Items and
users are known by nothing but their titles and who took what: the ids of this data set are numbered as the users'
lists go, targets included, so that a feature made of an id would give the answer away.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recommender import readers
from apps.recommender.ablation import FUSED, Ablation
from apps.recommender.candidates import Candidates
from apps.recommender.events import Events
from apps.recommender.intervals import Interval, bootstrap
from apps.recommender.metrics import Ranking
from apps.recommender.past import Past
from apps.recommender.ranker import Recommender
from apps.recommender.readers import sequences
from apps.recommender.settings import Settings
from apps.recommender.training import Training
from apps.recommender.vectors import Vectors
from bench.contract import Figures, public_data
from engine import Embedder, Progress

FIRST_SEED, OTHERS, CUT = 13, 20, 10
UNTUNED = "minilm"
KEYS = {"popularity": "pop"}
"""Names that the figures have of old."""


@dataclass(frozen=True)
class Measured:
    """nDCG@10 of each user's list by each part and by the whole.

    Attributes:
        lists: the candidates of the 6,000 users.
        seen: how often each user's target was taken in training, shape (lists,).
        values: name -> nDCG, shape (lists,); means over the seeds.
        seconds: stage -> wall seconds of one training, means over the seeds.
    """

    lists: Candidates
    seen: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    seconds: dict[str, float]

    def intervals(self, chosen: NDArray[np.bool_]) -> dict[str, Interval]:
        """Of some of the lists: each name's mean, and what the whole gains over it."""
        values = {f"ndcg10_{name}": found[chosen] for name, found in self.values.items()}
        fused = self.values[FUSED]
        values |= {f"gain_over_{name}": (fused - found)[chosen] for name, found in self.values.items() if name != FUSED}
        return bootstrap(values, self.lists.user_ids[chosen])


def run(*, seeds: int) -> Figures:
    """nDCG@10 of popularity, each part and all fused; seconds of training by stage."""
    found = measured(seeds)
    told = found.intervals(np.ones(len(found.lists), bool))
    seconds = sum(taken for stage, taken in found.seconds.items() if stage != "ablation")
    return Figures(
        {**{name: one.value for name, one in told.items()}, "train_seconds": seconds},
        {name: (one.low, one.high) for name, one in told.items()},
        {"seeds": seeds, "lists": len(found.lists), "candidates": f"target + first {OTHERS} of .random",
         "ties": "against us", "train_seconds": found.seconds},
    )  # fmt: skip


def measured(seeds: int) -> Measured:
    """Train once a seed, and rank the test lists."""
    folder = public_data("amazon_games")
    data = readers.read(folder / "Games-6k.valid.inter")  # a history and what came next: all that may be learnt from
    assert data.items is not None
    asked = last_items(readers.read(folder / "Games-6k.test.inter").events)
    lists = sequences.candidates(folder / "Games-6k.random", asked, OTHERS)
    taken = Counter(data.events.frame["item_id"])
    seen = np.array([taken[asked[user]] for user in lists.user_ids], np.int64)
    rounds, seconds = [], []
    with Progress() as progress:
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            training = Training.of(data.items, data.events, Settings(seed=seed), progress)
            scores = ranked(training, lists)
            rounds.append({name: Ranking.of(lists, score).ndcg(CUT) for name, score in scores.items()})
            seconds.append(training.clock.seconds)
    values = {name: np.mean([one[name] for one in rounds], axis=0) for name in rounds[0]}
    return Measured(
        lists, seen, values, {stage: float(np.mean([one[stage] for one in seconds])) for stage in seconds[0]}
    )


def last_items(events: Events) -> dict[str, str]:
    """User -> the item that came last."""
    frame = events.frame.drop_duplicates("user_id", keep="last")
    return dict(zip(frame["user_id"], frame["item_id"], strict=True))


def ranked(training: Training, lists: Candidates) -> dict[str, NDArray[np.floating]]:
    """Scores of the lists by popularity, texts untuned and tuned, behaviour, the sequence model, and all."""
    ablation = Ablation(training, Recommender.learnt(training))
    found = {KEYS.get(name, name): score(lists) for name, score in ablation.scores().items()}
    return {**found, "frozen_text": untuned(training, lists)}


def untuned(training: Training, lists: Candidates) -> NDArray[np.float64]:
    """Cosine of a title with the mean of the history's, as the untuned base sees them."""
    items = training.items
    vectors = Vectors(Embedder(UNTUNED)).of(items.texts())
    past = Past.of([training.events.history(user) for user in lists.user_ids], items)
    sums = np.zeros((len(past), vectors.shape[1]))
    np.add.at(sums, past.owners, vectors[past.items])
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    cosines = np.einsum("ij,ij->i", sums[lists.lists], vectors[items.numbers(lists.item_ids)])
    return np.asarray(cosines, np.float64)
