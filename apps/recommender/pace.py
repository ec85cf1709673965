"""Pace: how much fits into a time, by how long it took lately on this machine under its load."""

from __future__ import annotations

import threading

SHARE = 0.1
"""Weight of the newest measurement in a running average."""


class Pace:
    """Seconds of one piece of work, as an exponential average; threads may share it.

    Attributes:
        seconds: of one piece, by one worker, beside whatever else the machine is doing.
        deviation: mean distance of a measurement from it.
        waiting: pieces taken in and not yet done.
    """

    def __init__(self, seconds: float, workers: int = 1) -> None:
        self.seconds = seconds
        self.deviation = seconds / 2
        self.workers = workers
        self.waiting = 0
        self._lock = threading.Lock()

    def take(self, left: float, most: int) -> int:
        """How many pieces, at most `most`, will be done in `left` seconds behind those that wait; they are taken in.

        Where not even one fits an idle machine, the average is doubted: a hiccup would otherwise never be forgotten,
        since nothing more would be measured.
        """
        with self._lock:
            room = int(left / self.seconds * self.workers) - self.waiting
            if left > 0 and room < 1 and not self.waiting:
                self.seconds *= 1 - SHARE
            taken = min(max(room, 0), most)
            self.waiting += taken
        return taken

    def done(self, seconds: float | None) -> None:
        """One piece is done; None: it was given up."""
        with self._lock:
            self.waiting -= 1
        if seconds is not None:
            self.measured(seconds)

    def measured(self, seconds: float) -> None:
        with self._lock:
            self.deviation += SHARE * (abs(seconds - self.seconds) - self.deviation)
            self.seconds += SHARE * (seconds - self.seconds)

    @property
    def safe(self) -> float:
        """Seconds in which a piece is nearly always done: mean and four deviations, as a network waits for an answer
        (Jacobson 1988)."""
        return self.seconds + 4 * self.deviation
