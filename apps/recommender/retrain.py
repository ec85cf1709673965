"""Retrain: what users did since the training teaches a challenger, and it goes live only if it ranks better.

    logbook ──vetted──> events ──cut in time──> earlier: the challenger learns from them, the champion takes them in as
                                          └───> later: both rank the same lists; the paired difference decides

Lists to be judged lie after all that either knows. The champion is judged as it would serve by then: with the earlier
events in its histories, popularity and behaviour, its encoders and boosters as they are.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import pandas as pd

from apps.recommender.ablation import FUSED, Ablation
from apps.recommender.evaluate import Evaluation, Known, Score, evaluate
from apps.recommender.held_out import HeldOut, Plan
from apps.recommender.logbook import Logbook
from apps.recommender.ranker import Recommender
from apps.recommender.training import Training
from apps.recommender.trial import FILE
from apps.recommender.vetted import Vetted
from engine import Progress
from engine.errors import InputError

CHAMPION, CHALLENGER = "champion", "challenger"
JUDGED = 0.5
"""Share of the new events, the newest of them, that only judge."""
FEWEST = 200
"""New events below which nothing is learnt."""
LEAST_LISTS = 1000
"""Lists that were shown from which the boosters learn as shown; of fewer, what was taken stands beside items drawn
evenly."""


@dataclass(frozen=True)
class Retrained:
    """Attributes:
    evaluation: champion and challenger on the same lists.
    """

    champion: str
    challenger: str
    evaluation: Evaluation
    promoted: bool
    vetted: Vetted

    @property
    def why(self) -> str:
        gain, lists = self.evaluation.gains[CHAMPION], self.evaluation.protocol.lists
        found = (
            f"nDCG of {self.challenger} less that of {self.champion}: {gain.value:+.4f} [{gain.low:+.4f}, "
            f"{gain.high:+.4f}] on {lists:,} lists"
        )
        if self.promoted:
            return f"{self.challenger} is champion: {found}"
        return f"{self.champion} stays: {found}; the interval must lie above 0"


def retrain(
    name: str, logbook: Logbook, *, plan: Plan, judged: float = JUDGED, progress: Progress | None = None
) -> Retrained:
    """Train a challenger on what the logbook holds beyond the champion, and promote it if it ranks better.

    Args:
        plan: how the lists are drawn; its days do not count.
        judged: share of the new events that only judge, the newest.

    Raises:
        InputError: there is no such recommender, or too little is new.
        LeakError: what was learnt from has seen what is asked.
    """
    progress = progress or Progress(quiet=True)
    champion = Recommender.load(name)
    progress.stage("reading what users did")
    new = Vetted.of(logbook, champion)
    if len(new.events) < FEWEST:
        raise InputError(
            f"{len(new.events):,} events to learn from are newer than {champion.version}, {len(new.aside):,} were set "
            f"aside; it takes {FEWEST}"
        )
    moment = new.events.frame["datetime"].sort_values().iloc[int(len(new.events) * (1 - judged))].to_pydatetime()
    held = HeldOut.of(new.items, champion.events.added(new.events), replace(plan, since=moment), new.exposures)
    challenger = _learnt(champion, new, held, progress)
    progress.stage("measuring both")
    now = _taken_in(champion, new, moment)
    known = Known(held.learnt, new.items, held.learnt.added(held.later), challenger.features.text.vectors)
    evaluation = evaluate(
        {CHAMPION: _scores(now), CHALLENGER: _scores(challenger)},
        held.lists,
        held.protocol,
        known,
        main=CHALLENGER,
        histories=held.histories,
        features=challenger.features,
    )
    better = evaluation.gains[CHAMPION].low > 0
    made = challenger.partial_fit(held.later).save(
        name,
        promote=better,
        figures={part: asdict(own["ndcg"]) for part, own in evaluation.figures.items()},
        files={FILE: json.dumps(asdict(evaluation))},
    )
    return Retrained(champion.version, made.version, evaluation, better, new)


def _learnt(champion: Recommender, new: Vetted, held: HeldOut, progress: Progress) -> Recommender:
    before = None if new.exposures is None else new.exposures.until(held.learnt)
    if before is not None and before.frame["list_id"].nunique() < LEAST_LISTS:
        before = None
    users = None
    if champion.segments:
        users = pd.DataFrame(list(champion.segments.of.items()), columns=["user_id", champion.segments.field])
    training = Training.of(new.items, held.learnt, champion.settings, progress, before)
    return Recommender.learnt(training, users)


def _taken_in(champion: Recommender, new: Vetted, moment: datetime) -> Recommender:
    """The champion as it would serve at a moment."""
    grown = champion if new.items is champion.items else champion.add_items(new.items)
    return grown.partial_fit(new.events.before(moment))


def _scores(recommender: Recommender) -> Score:
    return Ablation(None, recommender).scores()[FUSED]
