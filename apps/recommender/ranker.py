"""Ranker: the road of one request, and the bundle of all that it needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender import rerank, sequence
from apps.recommender.behaviour import Behaviour
from apps.recommender.catalogue import Catalogue
from apps.recommender.columns import Columns
from apps.recommender.events import Events, History
from apps.recommender.exposures import Exposures
from apps.recommender.features import Features
from apps.recommender.fusion import Fusion
from apps.recommender.items import Items
from apps.recommender.past import Ints, Past
from apps.recommender.popularity import Popularity
from apps.recommender.rerank import Blend
from apps.recommender.segments import Segments
from apps.recommender.settings import Settings
from apps.recommender.standing import Ranked, Standing
from apps.recommender.text import TextModel
from apps.recommender.training import Training, newest
from engine import Progress, Store
from engine.errors import InputError, StoreError

NAME = "recommender"
FILE = "recommender.json"
BATCH = 200_000
"""Candidates whose features are held at once."""


@dataclass(frozen=True)
class Recommender:
    """One bundle version: catalogue, what users did, parts, boosters and settings."""

    items: Items
    events: Events
    features: Features
    fusion: Fusion
    settings: Settings
    seconds: Mapping[str, float]
    """Seconds that each stage of the training took."""
    blend: Blend | None = None
    """The cross-encoder and its weight, where one was trained."""
    segments: Segments | None = None
    """Of users without a history, where a table of users was given."""
    version: str = ""

    @classmethod
    def fit(
        cls,
        items: Items,
        events: Events,
        *,
        users: pd.DataFrame | None = None,
        exposures: Exposures | None = None,
        settings: Settings | None = None,
        progress: Progress | None = None,
    ) -> Recommender:
        """Learn to rank the items for whoever did these events; see `Training.of`.

        Args:
            users: `user_id` and the field that `settings.segment` names.

        Raises:
            InputError: there is too little to learn from.
        """
        progress = progress or Progress(quiet=True)
        return cls.learnt(Training.of(items, events, settings or Settings(), progress, exposures), users)

    @classmethod
    def learnt(cls, training: Training, users: pd.DataFrame | None = None) -> Recommender:
        """What a training makes of all its parts; popularity and behaviour once more, on all events."""
        items, events, settings = training.items, training.events, training.settings
        if settings.segment and users is None:
            raise InputError(f"segment: {settings.segment!r} is a field of users; give a table of them, or no segment")
        segments = (
            Segments.fit(users, settings.segment, events, items) if users is not None and settings.segment else None
        )
        fusion = training.fusion()
        blend = rerank.fit(training, fusion) if training.settings.rerank.pairs else None
        with training.clock.stage("refit"):
            events, items, shown = training.events, training.items, training.exposures
            _, whole = Past.users(events, items)
            rate = None if shown is None else shown.rates(events, items)
            features = training.features.refitted(whole, newest(events), seed=training.settings.seed, rate=rate)
        seconds = dict(training.clock.seconds)
        return cls(items, events, features, fusion, settings, seconds, blend, segments)

    def score(
        self, user_ids: Sequence[str], candidates: Sequence[str] | Sequence[Sequence[str]], *, as_of: Any = None
    ) -> pd.DataFrame:
        """Scores as a table user_id, item_id, score; the rows in the order asked for, an item given twice twice.

        Args:
            candidates: item ids for all users, or a list of them for each.
            as_of: moment of the request.

        Raises:
            InputError: an item is not in the catalogue, or a history lies in the future of `as_of`.
        """
        each: Any = [candidates] * len(user_ids) if candidates and isinstance(candidates[0], str) else candidates
        if len(each) != len(user_ids):
            raise InputError(
                f"{len(user_ids)} users but {len(each)} lists of candidates; give one a user, or one for all"
            )
        lists = [self._numbers(one) for one in each]
        histories = [self.events.history(user) for user in user_ids]
        for history in histories:
            _check(history, as_of)
        past = Past.of(histories, self.items)
        sizes = np.array([len(one) for one in lists], np.int64)
        flat = np.concatenate([*lists, np.zeros(0, np.int32)]).astype(np.int32)
        owners = np.repeat(np.arange(len(lists)), sizes)
        return pd.DataFrame(
            {
                "user_id": np.repeat(np.array(user_ids, object), sizes),
                "item_id": self.items.ids[flat],
                "score": self.scores(past, owners, flat, as_of),
            }
        )

    def scores(self, past: Past, owners: NDArray[Any], candidates: Ints, as_of: Any = None) -> NDArray[np.float64]:
        """As `score`, by numbers: candidate i for history `owners[i]`.

        Args:
            as_of: a moment, or seconds since 1970 at which each candidate is shown.
        """
        found = np.empty(len(candidates), np.float64)
        for first in range(0, len(candidates), BATCH):
            part = slice(first, first + BATCH)
            rows, local = np.unique(owners[part], return_inverse=True)
            shown = as_of[part] if isinstance(as_of, np.ndarray) else _moments(as_of, len(local))
            matrix = self.features.matrix(past.take(rows), local, candidates[part], shown)
            margins = self.fusion.margins(matrix)
            found[part] = self.fusion.scores(self.fusion.probabilities(margins))
        return found

    def rank(
        self,
        user: str | History,
        candidates: Sequence[str],
        *,
        k: int | None = None,
        explain: bool = False,
        values: Mapping[str, float] | None = None,
        as_of: datetime | None = None,
    ) -> tuple[Ranked, ...]:
        """The best `k` candidates as the models see them, best first; all by default. See `listing.Lister` for the rest
        of the road. A candidate given twice is ranked once.

        Args:
            user: an id, or a history; of a user nobody knows the history is empty.
            values: of behaviours, instead of those it was trained with.
            as_of: moment of the request; what the history holds must lie before it.

        Raises:
            InputError: an item is not in the catalogue, or the history lies in the future of `as_of`.
        """
        standing = self.standing(self.past(user, as_of), candidates, values=values, as_of=as_of)
        return standing.take(np.arange(len(standing))[:k]).rows(explain=explain)

    def past(self, user: str | History, as_of: datetime | None = None) -> Past:
        """What a user did, checked against the moment of the request. Arguments and errors as of `rank`."""
        history = self.events.history(user) if isinstance(user, str) else user
        _check(history, as_of)
        return Past.of([history], self.items)

    def standing(
        self,
        past: Past,
        candidates: Sequence[str],
        *,
        values: Mapping[str, float] | None = None,
        as_of: datetime | None = None,
    ) -> Standing:
        """The candidates as features and boosters see them for one history."""
        numbers = self._numbers(dict.fromkeys(candidates))
        owners = np.zeros(len(numbers), np.int64)
        matrix = self.features.matrix(past, owners, numbers, _moments(as_of, len(numbers)))
        return Standing.of(self.fusion, self.items.ids[numbers], numbers, matrix, values)

    def partial_fit(self, events: Events) -> Recommender:
        """With more events in histories, popularity and behaviour; encoders and boosters stay as they are."""
        return self.knowing(self.events.added(events))

    def knowing(self, events: Events) -> Recommender:
        """With these events alone in histories, popularity and behaviour; encoders and boosters stay as they are."""
        _, past = Past.users(events, self.items)
        features = self.features.refitted(past, newest(events), seed=self.settings.seed)
        return replace(self, events=events, features=features)

    def add_items(self, items: Items) -> Recommender:
        """With more items, rankable at once by their texts and fields; a known item is replaced."""
        grown = self.items.added(items)
        return replace(self, items=grown, features=self.features.grown(Catalogue(grown)))

    def save(
        self,
        name: str = NAME,
        *,
        promote: bool = True,
        figures: Mapping[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Recommender:
        """Store all of it as the next version of the bundle.

        Args:
            figures: for the manifest.
            files: name -> text of further files.
        """
        store, features = Store(), self.features
        value = {
            "encoder": features.text.encoder,
            "columns": asdict(features.catalogue.columns),
            "as_of": features.as_of,
            "learnt_as_of": features.learnt_as_of,
            "settings": self.settings.model_dump(),
            "seconds": dict(self.seconds),
            "blend": asdict(self.blend) if self.blend else None,
        }
        with store.staging(name) as place:
            (place / FILE).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
            self.items.frame.reset_index().to_parquet(place / "items.parquet")
            self.events.frame.to_parquet(place / "events.parquet")
            for part in (features.popularity, features.behaviour, features.text, self.fusion):
                part.save(place)
            if self.segments:
                self.segments.save(place)
            if features.sequence:
                sequence.save(features.sequence, place)
            for file, text in (files or {}).items():
                (place / file).write_text(text, encoding="utf-8")
            parts = [features.text.encoder.removeprefix("store:"), *([self.blend.model] if self.blend else [])]
            version = store.commit(name, place, {"name": name, "components": parts, "figures": dict(figures or {})})
        if promote:
            store.promote(version)
        return replace(self, version=str(version))

    @classmethod
    def load(cls, reference: str = NAME) -> Recommender:
        """The stored bundle that "recommender", "recommender@ALIAS" or "recommender@NUMBER" stands for.

        Raises:
            InputError: there is none.
            StoreError: its files are damaged.
        """
        version = Store().get(reference)
        folder = version.folder
        try:
            value = json.loads((folder / FILE).read_text(encoding="utf-8"))
            items = Items.of(pd.read_parquet(folder / "items.parquet"))
            events = Events.of(pd.read_parquet(folder / "events.parquet"))
            read = TextModel.load(folder, value["encoder"])
            features = Features(
                Catalogue(items, Columns.parse(value["columns"])),
                Popularity.load(folder),
                Behaviour.load(folder),
                read,
                sequence.load(folder, read.vectors),
                value["as_of"],
                value["learnt_as_of"],
            )
            settings = Settings.parse(value["settings"])
            blend = Blend(**value["blend"]) if value["blend"] else None
            fusion, segments = Fusion.load(folder), Segments.load(folder)
            return cls(items, events, features, fusion, settings, value["seconds"], blend, segments, str(version))
        except (OSError, ValueError, TypeError, KeyError) as fault:
            raise StoreError(f"{version}: unreadable ({fault}); see: engine models verify {version}") from None

    def _numbers(self, item_ids: Iterable[str]) -> Ints:
        asked = list(item_ids)
        numbers = self.items.numbers(asked)
        if (numbers < 0).any():
            unknown = [name for name, number in zip(asked, numbers, strict=True) if number < 0]
            raise InputError(f"item {unknown[0]!r} is not in the catalogue ({len(unknown)} such); add it first")
        return numbers


def _check(history: History, as_of: datetime | None) -> None:
    if as_of and (late := next((event for event in history if event.time and event.time > as_of), None)):
        raise InputError(f"the history holds {late.item_id!r} at {late.time}, after {as_of}; cut it before the request")


def _moments(as_of: datetime | None, count: int) -> NDArray[np.float64] | None:
    return None if as_of is None else np.full(count, as_of.timestamp())
