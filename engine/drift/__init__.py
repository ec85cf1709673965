"""Drift: whether what a served version reads and answers has moved away from what it was tested on.

servers ──> Watch.seen: counts an hour in SQL, no texts ──┐
version ──> reference: the same counts of its own rows ───┼──> drifted() -> Drift ──> engine drift, retrain, the console
people  ──> FeedbackLog: what was right ──────────────────┘
"""

from __future__ import annotations

from engine.drift.drift import Drift, drifted
from engine.drift.labelled import Labelled
from engine.drift.measure import Measure
from engine.drift.watch import Watch

__all__ = ["Drift", "Labelled", "Measure", "Watch", "drifted"]
