"""Training: the road of a request walked on the past.

    events ──cut──> known ──> parts (text, behaviour, popularity, sequence) ─┐
             └────> steps: what came next, beside items drawn evenly, or, ───┴─> features ──> lists ──> fusion
                    where exposures are given, lists as they were shown

The parts know nothing of the steps, so that the booster meets their features as a request will: of a past that ended
before.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommender import gate, sequence
from apps.recommender.behaviour import Behaviour
from apps.recommender.catalogue import Catalogue
from apps.recommender.events import Events
from apps.recommender.exposures import Exposures, Shown
from apps.recommender.features import PARTS, Features
from apps.recommender.fusion import Fusion, Lists
from apps.recommender.items import Items
from apps.recommender.newcomers import Newcomers
from apps.recommender.past import Past
from apps.recommender.popularity import Popularity
from apps.recommender.settings import Settings
from apps.recommender.steps import Steps
from apps.recommender.text import TextModel
from engine import Progress, Recipe, train

TOGETHER = 1024
"""Histories of a batch in training, where speed counts for more than the last digit."""


@dataclass
class Clock:
    """Wall seconds of each stage, told to whoever watches."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.progress.stage(name)
        began = time.monotonic()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 1)


@dataclass(frozen=True)
class Training:
    """Parts fitted on the past, and the lists on which a booster learns what they are worth.

    Attributes:
        steps: what came next, and what was known before; aside: which of them are of the users set aside.
        train: lists of most users; held: of those set aside, on which boosters stop and are calibrated.
    """

    items: Items
    events: Events
    settings: Settings
    features: Features
    steps: Steps
    aside: NDArray[np.bool_]
    train: Lists
    held: Lists
    clock: Clock
    exposures: Exposures | None = None

    @classmethod
    def of(
        cls,
        items: Items,
        events: Events,
        settings: Settings,
        progress: Progress,
        exposures: Exposures | None = None,
    ) -> Training:
        """Fit the parts and make the lists.

        Args:
            exposures: what the users were shown; without it what a user took stands beside items drawn evenly, so that
                a probability is that of being taken among such.

        Raises:
            InputError: there is too little to learn from.
            LeakError: what is to be learnt from knows the future.
        """
        clock, seed = Clock(progress), settings.seed
        with clock.stage("steps"):
            steps = Steps.of(events, items, share=settings.step_share, most=settings.steps, seed=seed)
            _, known = Past.users(steps.known, items)
            texts = items.texts()
            gate.given(items, events, steps)
        with clock.stage("item encoder"):
            encoder = tuned_encoder(settings, known, texts, progress)
        with clock.stage("user encoder"):
            read = TextModel.fit(known, texts, encoder, settings.text, seed=seed, step=progress.step)
        with clock.stage("sequence"):
            reader = None
            if settings.sequence.epochs:
                reader = sequence.fit(known, read.vectors, settings.sequence, seed=seed, step=progress.step)
        with clock.stage("behaviour"):
            rate = None if exposures is None else exposures.until(steps.known).rates(steps.known, items)
            popular, done = Popularity.fit(known, len(items), rate), Behaviour.fit(known, len(items), seed=seed)
        moment = newest(steps.known)
        features = Features(Catalogue(items), popular, done, read, reader, moment, moment)
        gate.computed(features, steps)
        for told in features.catalogue.oddities():
            progress.stage(told)
        with clock.stage("features"):
            users, lists = steps.users, None
            if exposures is not None:
                later = exposures.after(steps.known)
                shown = Shown.of(later, events, items, most=settings.steps, seed=seed)
                users, lists = shown.users, _shown(shown, features, items, settings)
            else:
                lists = _lists(steps, features, items, settings)
        people = events.frame["user_id"].nunique() + 1
        held = np.random.default_rng(seed).permutation(people) < settings.held_out * people
        kept = held[users]
        return cls(
            items,
            events,
            settings,
            features,
            steps,
            held[steps.users],
            lists.where(~kept),
            lists.where(kept),
            clock,
            exposures,
        )

    def fusion(self, parts: Sequence[str] = PARTS) -> Fusion:
        """The boosters over some of the parts: all of them, or fewer for an ablation.

        Raises:
            InputError: none of the behaviours that have a value happened.
        """
        chosen = [at for at, name in enumerate(self.features.names) if name.split(".")[0] in parts]
        values = self.settings.values or dict.fromkeys(self.train.labels, 1.0)
        with self.clock.stage("fusion" if parts == PARTS else "ablation"):
            return Fusion.fit(
                self.train.columns(chosen),
                self.held.columns(chosen),
                [self.features.names[at] for at in chosen],
                values,
                self.settings.booster,
                seed=self.settings.seed,
                step=self.clock.progress.step,
            )


def tuned_encoder(settings: Settings, known: Past, texts: Sequence[str], progress: Progress) -> str:
    """The item encoder: tuned on what came after what, or the base as it is where no pairs are asked for."""
    if not settings.text.pairs:
        return settings.text.base
    after = np.random.default_rng(settings.seed).permutation(np.flatnonzero(known.ages > 0))[: settings.text.pairs]
    owners = known.owners
    rows = [
        {"text": text, "pair": pair, "user": int(owners[at])}
        for at in after
        if (text := texts[known.items[at]]) and (pair := texts[known.items[at + 1]]) and text != pair
    ]
    if not rows:
        return settings.text.base
    version = tuned(settings.text.recipe, rows, settings.text.base, seed=settings.seed, progress=progress)
    return f"store:{version}"


def tuned(recipe: str, rows: Sequence[Mapping[str, Any]], base: str, *, seed: int, progress: Progress) -> str:
    """NAME@NUMBER of what a recipe makes of rows."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        given = [f"data.train={file}", f"base={base}", f"seeds=[{seed}]"]
        return str(train(Recipe.load(recipe, given), watcher=progress).version)


def newest(events: Events) -> float | None:
    """Seconds since 1970 of the last event; None where there are no times."""
    return float(events.frame["datetime"].max().timestamp()) if events.timed else None


def _shown(shown: Shown, features: Features, items: Items, settings: Settings) -> Lists:
    new = Newcomers.of(features, items, share=settings.newcomers, seed=settings.seed)
    matrix = new.features.matrix(shown.past, shown.owners, new.twins[shown.candidates], shown.as_of, batch=TOGETHER)
    return shown.lists(matrix)


def _lists(steps: Steps, features: Features, items: Items, settings: Settings) -> Lists:
    timed, seed = not np.isnan(steps.as_of).any(), settings.seed
    published = features.catalogue.published if timed else None
    candidates = steps.candidates(len(items), settings.negatives, published=published, seed=seed)
    owners = np.repeat(np.arange(len(steps)), candidates.shape[1])
    shown = Newcomers.of(features, items, share=settings.newcomers, seed=seed)
    as_of = steps.as_of[owners] if timed else None
    matrix = shown.features.matrix(steps.past, owners, shown.twins[candidates.ravel()], as_of, batch=TOGETHER)
    return steps.lists(matrix, candidates.shape[1])
