"""Given: the settings of an alert's run, each as the alert carries it, or as somebody gives it in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from apps.finance_monitor import watchfile
from apps.finance_monitor.replay import Settings
from apps.finance_monitor.watchlist import WatchList
from engine import sha256
from engine.errors import InputError


@dataclass(frozen=True)
class Given:
    """None: what the alert carries."""

    budget: float | None = None
    lateness: float | None = None
    """Minutes."""
    companies: Path | None = None
    calendar: str | None = None
    notices: bool | None = None

    def beside(self, told: Mapping[str, Any], *, state: bool) -> Settings:
        """The alert's, where these are none.

        Args:
            state: an alert that carries none is of a run with one.

        Raises:
            InputError: the alert's watch list is not there, or changed since.
        """
        kept = told.get("settings") or {"false_alarms_per_day": 0.5, "lateness_minutes": 5.0 if state else None}
        lateness = kept["lateness_minutes"] if self.lateness is None else self.lateness
        return Settings(
            kept["false_alarms_per_day"] if self.budget is None else self.budget,
            None if lateness is None else timedelta(minutes=lateness),
            _watched(self.companies, kept.get("companies")),
            self.calendar or kept.get("calendar"),
            bool(kept.get("notices")) if self.notices is None else self.notices,
        )


def _watched(given: Path | None, kept: Mapping[str, str] | None) -> WatchList:
    path = given or (Path(kept["file"]) if kept else None)
    if path is None:
        return WatchList()
    if given is None and kept and (not path.is_file() or sha256(path) != kept["sha256"]):
        raise InputError(f"{path}: the alert's watch list is not there as it was; give it with --companies")
    return watchfile.read(path)
