"""Stories: retellings of one event by several outlets are grouped, so that each event counts once.

An item joins the story of the nearest earlier item when their sentence vectors are close enough. Vectors come from the
untuned base encoder, whose training was to put paraphrases near each other; tuning on topics would pull unlike events
of one topic together.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
SAME_STORY = 0.60
"""Cosine from which two headlines tell the same event. On the labelled feed it joins 56% of the retellings and
2.5% of the stories that are none; .70 joins 31% and .4%, .50 joins 77% and 7%."""
REMEMBERED = timedelta(hours=48)
"""A retelling later than this is a new story: memory stays bounded by two days of news."""


class Stories:
    """Gives every item the id of its story: the id of the first item that told it."""

    def __init__(self, *, threshold: float = SAME_STORY) -> None:
        self._threshold = threshold
        self._recent: deque[tuple[datetime, str]] = deque()
        self._vectors = np.zeros((0, 0), dtype=np.float32)
        self._start = 0
        self._end = 0

    def assign(self, item_id: str, vector: Vector, now: datetime) -> str:
        """The story of the item whose title has the unit vector; items come in order of time."""
        while self._recent and self._recent[0][0] < now - REMEMBERED:
            self._recent.popleft()
            self._start += 1
        story = item_id
        if self._recent:
            similar = self._vectors[self._start : self._end] @ vector
            nearest = int(similar.argmax())
            if similar[nearest] >= self._threshold:
                story = self._recent[nearest][1]
        self._append(vector)
        self._recent.append((now, story))
        return story

    def _append(self, vector: Vector) -> None:
        if self._end == len(self._vectors):
            live = self._vectors[self._start : self._end]
            grown = np.zeros((max(256, 2 * len(live)), len(vector)), dtype=np.float32)
            grown[: len(live)] = live if len(live) else 0
            self._vectors, self._start, self._end = grown, 0, len(live)
        self._vectors[self._end] = vector
        self._end += 1
