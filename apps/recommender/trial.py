"""Trial: a training on the past, measured part by part on what came after."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

import pandas as pd
from pydantic import TypeAdapter

from apps.recommender.ablation import FUSED, Ablation
from apps.recommender.evaluate import Evaluation, Known, evaluate
from apps.recommender.events import Events
from apps.recommender.exposures import Exposures
from apps.recommender.held_out import HeldOut, Plan
from apps.recommender.items import Items
from apps.recommender.ranker import Recommender
from apps.recommender.settings import Settings
from apps.recommender.training import Training
from engine import Progress, Store
from engine.errors import InputError, StoreError

FILE = "evaluation.json"


@dataclass(frozen=True)
class Trial:
    """Attributes:
    recommender: with what was held out in its histories, popularity and behaviour; its encoders and boosters, whose
        figures these are, have not seen it.
    """

    recommender: Recommender
    evaluation: Evaluation

    @classmethod
    def of(
        cls,
        items: Items,
        events: Events,
        settings: Settings,
        plan: Plan,
        progress: Progress,
        exposures: Exposures | None = None,
        users: pd.DataFrame | None = None,
    ) -> Trial:
        """Train on what came before, and measure on what is held out.

        Raises:
            InputError: there is too little to learn from, or to ask about.
            LeakError: what was learnt from has seen what is asked.
        """
        held = HeldOut.of(items, events, plan, exposures)
        before = None if exposures is None else exposures.until(held.learnt)
        training = Training.of(items, held.learnt, settings, progress, before)
        learnt = Recommender.learnt(training, users)
        with training.clock.stage("measuring"):
            evaluation = measured(Ablation(training, learnt), held)
        return cls(learnt.partial_fit(held.later), evaluation)

    def save(self, name: str, *, promote: bool) -> Recommender:
        """Store the recommender and its figures as the next version."""
        figures = {part: asdict(own["ndcg"]) for part, own in self.evaluation.figures.items()}
        text = json.dumps(asdict(self.evaluation))
        return self.recommender.save(name, promote=promote, figures=figures, files={FILE: text})


def measured(ablation: Ablation, held: HeldOut) -> Evaluation:
    """Each part and the whole on what was held out; the recommender has learnt from `held.learnt` alone."""
    recommender = ablation.recommender
    known = Known(held.learnt, recommender.items, held.learnt.added(held.later), recommender.features.text.vectors)
    return evaluate(
        ablation.scores(),
        held.lists,
        held.protocol,
        known,
        main=FUSED,
        histories=held.histories,
        features=recommender.features,
    )


def later(recommender: Recommender, events: Events, plan: Plan, exposures: Exposures | None = None) -> Evaluation:
    """A stored recommender on what users did after all that it knows; nothing is learnt from it.

    Raises:
        InputError: nothing came after.
    """
    if not events.timed or not recommender.events.timed:
        raise InputError(
            "without times nothing tells what came after the training; train anew, each user's last is left out"
        )
    newest = recommender.events.frame["datetime"].max()
    new = Events(events.frame[events.frame["datetime"] > newest].reset_index(drop=True))
    if not len(new):
        raise InputError(
            f"no event is later than {newest:%Y-%m-%dT%H:%M:%SZ}, up to which {recommender.version} knows all; give "
            "newer ones, or train anew and measure on part of these: recommender train --hold-out 7 --no-promote"
        )
    first = new.frame["datetime"].min().to_pydatetime()
    held = HeldOut.of(recommender.items, recommender.events.added(new), replace(plan, since=first), exposures)
    return measured(Ablation(None, recommender), held)


def stored(reference: str) -> Evaluation:
    """The figures that a version was stored with.

    Raises:
        InputError: there is no such version, or it has none.
    """
    version = Store().get(reference)
    path = version.folder / FILE
    if not path.exists():
        raise InputError(f"{version} was trained on all events, with nothing held out to measure; give newer --events")
    try:
        return TypeAdapter(Evaluation).validate_python(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as fault:
        raise StoreError(f"{version}: {FILE} unreadable ({fault}); see: engine models verify {version}") from None
