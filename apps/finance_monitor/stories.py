"""Stories: retellings of one event by several outlets are grouped, so that each event counts once.

An item joins the story of an earlier item that says the same nearly word for word (`copies`), or else of the one
nearest in meaning, if their sentence vectors are close enough. Vectors come from the untuned base encoder, whose
training was to put paraphrases near each other, or from a labeller that repeats those in its pass; tuning on topics
alone would pull unlike events of one topic together. The encoder reads English: for Chinese its vectors say nothing (on
the labelled headlines a sixth of all pairs of unlike stories would be one story), so there only copies are grouped.

What is tested is the number of stories, each of which counts once however many outlets tell it: a weight of its own for
each, even one that grows like a logarithm, would make the counts no counts, for which no test is known, and would let
one loud story alarm. How many outlets tell a story orders an alert's evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from apps.finance_monitor.copies import Copies, sketch
from apps.finance_monitor.recent import Recent, Story
from engine.text.normalise import CJK, normalised

Vector = NDArray[np.float32]
SAME_STORY = 0.60
"""Cosine from which two headlines tell the same event. On the labelled feed it joins 82% of the pairs that do, and one
pair in twenty that it joins does not; .70 joins 68%, hardly any wrongly; .50 joins 92%, one in four wrongly."""
WELL_TOLD, SLOPE = 5, 22.0
"""A story that has been told more than five times is likelier to be told again: its log odds grow like those of a
preferential choice, log(tellings), and 22 of them are worth a cosine of 1 (logistic regression of "same story" on the
cosine, over the labelled headlines). A small story is joined for its meaning alone, or the sides of one crisis would
run together."""
LEAST = 0.50
"""Cosine below which no story, however well told, is joined."""
BRIDGE = 0.70
"""Cosine from which an item proves that two stories are one: each has a telling so near to it. On the labelled
headlines and on the labelled feed this joins no story wrongly; .67 would."""
MOST = 20_000
"""Vectors remembered: 31 MB, and some milliseconds a lookup."""
_UNIT = 2048
"""Vectors are kept as whole multiples of 1 / 2048: their products and sums are exact in float32 in any order, so that
a state that was read back gives the same stories."""


@dataclass(frozen=True)
class Told:
    """What an item tells.

    Attributes:
        same: stories that turn out to be this one.
    """

    story: str
    same: tuple[str, ...] = ()


class Stories:
    """Gives every item the id of its story: the id of the first item that told it."""

    def __init__(self) -> None:
        self._copies = Copies()
        self._meanings: Recent | None = None

    def assign(self, item_id: str, title: str, vector: Vector | None, now: datetime) -> Told:
        """The story of an item; items come in order of time.

        Args:
            vector: the title's unit vector, of shape (width,); None for an item that is only compared as a copy.
        """
        text = normalised(title)
        own = sketch(text) if text else None
        whole = None if vector is None or CJK.search(title) else np.rint(vector * _UNIT).astype(np.float32)
        story = None if own is None else self._copies.story(text, own, now)
        same: set[Story] = set()
        if whole is not None:
            meant, close = self._meant(whole, now)
            story = story or meant
            same = close if story in close else set()
        story = min(same, key=lambda one: (one.since, one.id), default=story) or Story(item_id, now)
        for other in same - {story}:
            other.same = story
            story.vectors += other.vectors
        if own is not None:
            self._copies.add(text, own, now, story)
        if whole is not None and self._meanings is not None:
            self._meanings.add(whole, now, story)
            story.vectors += 1
        return Told(story.id, tuple(sorted(other.id for other in same - {story})))

    def _meant(self, whole: Vector, now: datetime) -> tuple[Story | None, set[Story]]:
        """The story nearest in meaning, and all those that are as near as to be the same."""
        if self._meanings is None:
            self._meanings = Recent(len(whole), np.float32, most=MOST)
        for story in self._meanings.forget(now):
            story.vectors -= 1
        similar = self._meanings.rows @ whole / _UNIT**2
        best, found, close = SAME_STORY, None, set()
        for place in np.flatnonzero(similar >= LEAST).tolist():
            story = self._meanings.story(self._meanings.first + place)
            if similar[place] >= BRIDGE:
                close.add(story)
            score = float(similar[place]) + math.log(max(1.0, story.vectors / WELL_TOLD)) / SLOPE
            if score >= best and (found is None or score > best):
                best, found = score, story
        return found, close
