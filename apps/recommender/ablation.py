"""Ablation: what each part is worth alone, and the whole, as scores that `evaluate` measures on the same lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from apps.recommender.candidates import Candidates
from apps.recommender.evaluate import Score
from apps.recommender.fusion import Fusion
from apps.recommender.past import Floats, Past
from apps.recommender.ranker import Recommender
from apps.recommender.rerank import Blend, Reranker
from apps.recommender.training import Training

FUSED, REREAD = "fused", "+ cross-encoder"
PLAIN = {"popularity": "popularity.all", "text": "text.user", "sequence": "sequence.next"}
"""Parts of one number, by their feature: popularity counts, the user encoder over texts, the sequence model."""
BOOSTED = ("behaviour",)
"""Parts of many numbers: a booster over theirs alone."""


@dataclass
class Ablation:
    """Scores by parts of a training and by the recommender that it made.

    Histories are those of the recommender's events: lists to be scored lie after all of them.

    Attributes:
        training: None, where it is gone: parts of many numbers, whose boosters it makes, are left out.
    """

    training: Training | None
    recommender: Recommender
    _last: tuple[Candidates, Floats] | None = field(default=None, init=False, repr=False)

    def scores(self) -> dict[str, Score]:
        """Name -> scores of lists; the whole is "fused", and each part is in it. Where there is a cross-encoder, it
        reads the first candidates of every list, whatever it takes."""
        names = self.recommender.features.names
        found: dict[str, Score] = {
            part: partial(self._column, names.index(name)) for part, name in PLAIN.items() if name in names
        }
        found |= {part: partial(self._boosted, fusion) for part, fusion in self.fusions.items()}
        found[FUSED] = partial(self._boosted, self.recommender.fusion)
        if self.recommender.blend:
            found[REREAD] = partial(self._reread, self.recommender.blend)
        return found

    @cached_property
    def fusions(self) -> dict[str, Fusion]:
        """Boosters of single parts."""
        return {part: self.training.fusion((part,)) for part in BOOSTED} if self.training else {}

    def matrix(self, lists: Candidates) -> Floats:
        """Features of the lists' rows, kept for the next part that asks."""
        if self._last is None or self._last[0] is not lists:
            recommender = self.recommender
            past = Past.of([recommender.events.history(str(user)) for user in lists.user_ids], recommender.items)
            as_of = None
            if lists.as_of is not None:
                as_of = lists.as_of.astype("datetime64[ns]").astype(np.float64)[lists.lists] / 1e9
            numbers = recommender.items.numbers(lists.item_ids)
            self._last = lists, recommender.features.matrix(past, lists.lists, numbers, as_of)
        return self._last[1]

    def _column(self, at: int, lists: Candidates) -> Floats:
        return self.matrix(lists)[:, at]

    def _boosted(self, fusion: Fusion, lists: Candidates) -> NDArray[np.float64]:
        names = self.recommender.features.names
        matrix = self.matrix(lists)[:, [names.index(name) for name in fusion.names]]
        return fusion.scores(fusion.probabilities(fusion.margins(matrix)))

    def _reread(self, blend: Blend, lists: Candidates) -> NDArray[np.float64]:
        recommender, matrix = self.recommender, self.matrix(lists)
        reranker, found = Reranker.of(blend, recommender.items), np.empty(len(lists.item_ids))
        for number, user in enumerate(lists.user_ids.tolist()):
            rows = lists.rows(number)
            numbers = recommender.items.numbers(lists.item_ids[rows])
            found[rows] = reranker.scores(recommender.fusion, recommender.past(user), numbers, matrix[rows])
        return found
