"""Golden: lists that the shop trusts, of users who teach nothing: a veto on challengers that the log speaks for.

A log that strangers write can be taken over as a whole, by stolen accounts or a client that tells clicks wrongly. Then
what teaches and what judges are of one mind, and neither tells that the challenger is worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np
import pandas as pd

from apps.recommender.ablation import FUSED, Ablation
from apps.recommender.candidates import Candidates, Floats
from apps.recommender.evaluate import K
from apps.recommender.events import Events
from apps.recommender.exposures import refuse, rows_of_lists
from apps.recommender.intervals import bootstrap
from apps.recommender.items import Items
from apps.recommender.metrics import Ranking
from apps.recommender.ranker import Recommender
from apps.recommender.readers import tables
from engine import Gate
from engine.errors import InputError

LOSS = 0.01
"""nDCG that a challenger may lose."""
FEWEST = 50
"""Lists of which something was wanted and something not."""


@dataclass(frozen=True)
class Golden:
    """
    Attributes:
        lists: each with a moment; of each something was wanted, and something not.
    """

    lists: Candidates

    @classmethod
    def of(cls, frame: pd.DataFrame, items: Items, *, name: str = "golden lists") -> Golden:
        """Of a table list_id, user_id, item_id, datetime, wanted (0: not; more: by how much).

        Raises:
            DataError: a column is missing, or a row holds what it should not.
            InputError: the lists are too few.
        """
        found = rows_of_lists(frame, ("list_id", "user_id", "item_id", "datetime", "wanted"), name)
        found["wanted"] = pd.to_numeric(found["wanted"], errors="coerce")
        refuse(~(found["wanted"] >= 0), name, "wanted", "0 for what was not wanted, 1 or more for what was")
        refuse(items.numbers(found["item_id"]) < 0, name, "item_id", "of an item that is not in the catalogue")
        each = found.groupby("list_id")
        for column in ("user_id", "datetime"):
            refuse(each[column].transform("nunique") > 1, name, column, "another than in other rows of the same list")
        lists = Candidates.shown(found)
        if len(lists) < FEWEST:
            raise InputError(
                f"{name}: {len(lists)} lists hold both what was wanted and what was not; it takes {FEWEST} to judge"
            )
        return cls(lists)

    @classmethod
    def read(cls, path: Path, items: Items) -> Golden:
        """Of a .csv, .jsonl or .parquet file. Errors as of `of`, or it is not there or unreadable."""
        return cls.of(tables.load(path).frame, items, name=str(path))

    def known(self, learnt: Events) -> Events:
        """What was done before the first list: all that a recommender is to know when it ranks them.

        Args:
            learnt: all that it learns from.

        Raises:
            InputError: it learns what a list asks; or nothing was done before the lists.
        """
        assert self.lists.as_of is not None
        self._unseen(learnt)
        known = learnt.before(self.lists.as_of.min().astype("datetime64[us]").item().replace(tzinfo=UTC))
        if not len(known):
            raise InputError("nothing was done before the golden lists, so nobody has a history; give later ones")
        return known

    def gate(self, champion: Recommender, challenger: Recommender, known: Events) -> Gate:
        """Whether the challenger ranks them as well as the champion.

        Args:
            known: as `known` gives it.
        """
        before, after = (self._ndcg(one.knowing(known)) for one in (champion, challenger))
        gain = bootstrap({"gain": after - before}, self.lists.user_ids)["gain"]
        note = (
            f"nDCG of the first {K} on {len(self.lists):,} golden lists, which teach nothing: {before.mean():.4f} to "
            f"{after.mean():.4f}; may lose {LOSS}"
        )
        return Gate("golden", gain.value >= -LOSS, gain.value, -LOSS, (gain.low, gain.high), note)

    def _ndcg(self, recommender: Recommender) -> Floats:
        return Ranking.of(self.lists, Ablation(None, recommender).scores()[FUSED](self.lists)).ndcg(K)

    def _unseen(self, learnt: Events) -> None:
        assert self.lists.as_of is not None
        rows = np.flatnonzero(self.lists.gains > 0)
        lists = self.lists.lists[rows]
        asked = pd.DataFrame(
            {
                "user_id": self.lists.user_ids[lists].astype(str),
                "item_id": self.lists.item_ids[rows].astype(str),
                "shown": pd.to_datetime(self.lists.as_of[lists], utc=True),
            }
        )
        seen = asked.merge(learnt.frame, on=["user_id", "item_id"])
        seen = seen[seen["datetime"] >= seen["shown"]]
        if len(seen):
            first = seen.iloc[0]
            raise InputError(
                f"{len(seen):,} of the golden lists' answers were learnt from, such as that {first['user_id']} took "
                f"{first['item_id']} at {first['datetime']:%Y-%m-%dT%H:%M:%SZ}; golden lists are of users whose events "
                "the recommender is not told"
            )
