"""Live: one model as it answers: the promoted bundle, and what was told since, in memory at once."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from apps.recommender import fields
from apps.recommender.events import COLUMNS, Event, Events, History
from apps.recommender.listing import Lister
from apps.recommender.logbook import Entry, Logbook
from apps.recommender.ranker import Recommender
from engine import Store, Version
from engine.errors import InputError
from engine.service.renewal import trusted

_LOG = logging.getLogger("keel.recommender")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Key = tuple[str, str, str, int]
"""User, item, event, microseconds since 1970: what an event is known by in a bundle that learnt from it."""


class Live:
    """A model that threads share. The logbook is the truth: whatever wrote there, `caught_up` reads it.

    Histories and items count from the next request on; popularity and behaviour, which are refitted on all events, from
    the next `renewed` on.

    Args:
        reference: as `Recommender.load` takes it.

    Raises:
        InputError: there is no such model.
    """

    def __init__(self, reference: str, logbook: Logbook) -> None:
        self.reference, self.logbook = reference, logbook
        self.unread: Counter[str] = Counter()
        """Entries that the model has no use for, by reason."""
        self._lock, self._renewing = threading.RLock(), threading.Lock()
        self._since: dict[str, History] = {}
        self._users: dict[str, dict[str, Any]] = {}
        self._forgotten: dict[str, datetime] = {}
        self._seen = 0
        self._take_over(_warm(_begun(reference)), 0)
        self.caught_up()

    @property
    def lister(self) -> Lister:
        return self._lister

    @property
    def recommender(self) -> Recommender:
        return self._lister.recommender

    def history(self, user: str) -> History:
        """What a user did, oldest first, the last feedback included."""
        recommender, since = self.recommender, self._since.get(user, ())
        told = recommender.events.history(user)
        if user in self._forgotten:
            told = tuple(one for one in told if (one.time or EPOCH) > self._forgotten[user])
        if not since:
            return told
        whole = (*told, *since)
        return tuple(sorted(whole, key=lambda one: one.time or EPOCH)) if recommender.events.timed else whole

    @property
    def segment_field(self) -> str | None:
        """The one field of users that it reads."""
        return self.recommender.segments.field if self.recommender.segments else None

    def segment(self, user: str | None, told: Mapping[str, Any]) -> str | None:
        """The kind of users that a newcomer is of: as the request tells it, the feedback, or the training's table."""
        segments = self.recommender.segments
        if segments is None:
            return None
        value = told.get(segments.field, self._users.get(user, {}).get(segments.field) if user else None)
        return str(value) if value is not None else segments.of.get(user) if user else None

    def users(self) -> Iterator[str]:
        """Whoever did something, each once."""
        found = dict.fromkeys([*self.recommender.events.frame["user_id"].unique(), *list(self._since)])
        return (user for user in found if user not in self._forgotten or self.history(user))

    def reads(self, event: str) -> bool:
        """Whether events of a kind are in its histories: those that it has learnt from."""
        return event in self._kinds

    def drawn(self, words: str, count: int, seed: int) -> list[str]:
        """Ids of items whose id or text holds the words; so many of them, drawn evenly, in the catalogue's order."""
        items = self.recommender.items
        found = items.ids
        if words:
            wanted = words.casefold()
            texts = zip(items.ids, items.texts(), strict=True)
            found = np.array([one for one, text in texts if wanted in f"{one} {text}".casefold()], dtype=object)
        kept = np.sort(np.random.default_rng(seed).permutation(len(found))[:count])
        return list(found[kept])

    def caught_up(self, *, wait: bool = True) -> Lister:
        """With all that the logbook holds.

        Args:
            wait: for another thread that is at it; else what there is now answers.
        """
        if self._lock.acquire(blocking=wait):
            try:
                if (last := self.logbook.last()) > self._seen:
                    self._read()
                    self._seen = max(self._seen, last)  # an entry told twice leaves a number out
            finally:
                self._lock.release()
        return self._lister

    def promoted(self) -> Version:
        return Store().get(self.reference)

    def renewed(self) -> bool:
        """Serve the bundle that is promoted now, or refit popularity and behaviour where events came; whether it did.

        Takes its time, and requests go on meanwhile.

        Raises:
            StoreError: the promoted bundle is not whole.
        """
        with self._renewing:
            promoted = self.promoted()
            version = str(promoted)
            with self._lock:
                recommender, since, seen = self.recommender, dict(self._since), self._seen
            if version != recommender.version:
                trusted(Store(), promoted)
                lister, seen = _warm(_begun(self.reference)), 0
            elif since:
                lister = _warm(recommender.partial_fit(_events(since, recommender.events.timed)))
            else:
                return False
            with self._lock:
                self._take_over(lister, seen)
                self._read()
            return True

    def _take_over(self, lister: Lister, seen: int) -> None:
        self._lister, self._since, self._seen = lister, {}, seen
        self._kinds = frozenset(lister.recommender.events.frame["event"].unique())

    def _read(self) -> None:
        told: dict[str, dict[str, Any]] = {}
        done: list[Entry] = []
        from_the_beginning = self._seen == 0
        for number, entry in self.logbook.since(self._seen):
            self._seen = number
            if entry.kind == "interaction":
                done.append(entry)
            elif entry.kind == "item":
                self._item(entry, told)
            elif entry.kind == "forgotten":
                done = [one for one in done if one.subject != entry.subject]
                self._since.pop(entry.subject, None)
                self._users.pop(entry.subject, None)
                self._forgotten[entry.subject] = entry.time
            else:
                self._users[entry.subject] = {**self._users.get(entry.subject, {}), **entry.data}
        if told:
            recommender = self.recommender
            self._lister = _warm(recommender.add_items(fields.joined(told, recommender.items)))
        # The bundle may have learnt from some of them.
        learnt = _keys(self.recommender.events, {one.subject for one in done}) if from_the_beginning else frozenset()
        for entry in done:
            event = Event(entry.data["item"], entry.data["event"], entry.data["weight"], entry.time)
            if event.event not in self._kinds:
                self.unread[f"events of the kind {event.event}"] += 1
            elif (entry.subject, event.item_id, event.event, _microseconds(entry.time)) not in learnt:
                self._since[entry.subject] = (*self._since.get(entry.subject, ()), event)

    def _item(self, entry: Entry, told: dict[str, dict[str, Any]]) -> None:
        try:
            found = fields.checked(entry.subject, entry.data, self.recommender.items)
        except InputError as fault:  # it was right for the bundle that it was told to
            _LOG.warning("%s passes an item over: %s", self.reference, fault)
            self.unread["items that do not fit"] += 1
        else:
            told.setdefault(entry.subject, {}).update(found)


def _begun(reference: str) -> Recommender:
    recommender = Recommender.load(reference)
    items = fields.settled(recommender.items)
    catalogue = replace(recommender.features.catalogue, items=items)
    return replace(recommender, items=items, features=replace(recommender.features, catalogue=catalogue))


def _warm(recommender: Recommender) -> Lister:
    """Ready: what is made when it is first asked for is made now, and nobody waits for it."""
    lister = Lister(recommender)
    if len(recommender.items):
        first = str(recommender.items.ids[0])
        lister.ranked((Event(first),), [first])
    return lister


def _events(since: Mapping[str, History], timed: bool) -> Events:
    rows = [(user, *event) for user, history in since.items() for event in history]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return Events.of(frame if timed else frame.drop(columns="datetime"))


def _keys(events: Events, users: Iterable[str]) -> frozenset[Key]:
    """What some users did, by which an event that a bundle has learnt from is known when it is read again."""
    if not events.timed:
        return frozenset()
    frame = events.frame[events.frame["user_id"].isin(list(users))]
    times = frame["datetime"].dt.tz_convert(None).astype("datetime64[us]").astype("int64")
    return frozenset(zip(frame["user_id"], frame["item_id"], frame["event"], times.tolist(), strict=True))


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)
