"""Pulse: how a run stands after each chunk of news, for those who watch it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apps.finance_monitor.series import Point
from apps.finance_monitor.windows import Key


@dataclass(frozen=True)
class Pulse:
    """Counts are those of the whole state, not of this start alone."""

    items: int
    late: int
    duplicates: int
    dead: int
    event: datetime | None
    """Newest event time."""
    received: datetime | None
    """Newest time of receipt in the chunk; None: it had no items."""
    labelled: int
    """Items of the chunk."""
    seconds: float
    """That labelling them took."""
    firing: Sequence[dict[str, Any]]
    """Alerts, as their `as_dict` gives them."""
    pending: Mapping[Key, float]
    """Keys that may be about to surge -> their p-values."""
    points: Sequence[Point]
    """Of the steps that ended in the chunk."""
    routes: Mapping[str, int] = field(default_factory=dict)
    """Who labelled -> items: "model", "cheap", or "overload"."""
    repeats: int = 0
    """Titles that these models answered from memory since they were loaded; they are among the routes."""
