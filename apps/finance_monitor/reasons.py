"""Reasons: why an alert fired: the stories that decided it, and the words that made its worst news negative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from apps.finance_monitor import checking, explanation, verification
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.replay import Settings, replay
from engine import Store, load
from engine.errors import InputError
from engine.explain import Explainer, Explanation


@dataclass(frozen=True)
class Reasons:
    """
    Attributes:
        decisive: as `checking.decisive` gives them; None: its news is not at hand, or no count of stories decides it.
    """

    decisive: dict[str, Any] | None
    words: list[Explanation]

    def document(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """One JSON object."""
        words = [asdict(one) for one in self.words]
        return {"id": told["id"], "key": told["key"], "decisive": self.decisive, "words": words}


def reasons(told: Mapping[str, Any], settings: Settings, items: Sequence[Labelled] | None) -> Reasons:
    """Why an alert fired.

    Args:
        told: the alert as it was told.
        items: all news of the state that raised it; None: that is not at hand.

    Raises:
        InputError: the store lacks the alert's model, or the news raises no such alert.
        StoreError: the model has changed since.
    """
    explainer = Explainer(load(verification.check_model(told["model"], Store())))
    deciding = None
    if items is not None:
        seen = replay(items, settings, told["model"], told.get("settings"))
        if told["id"] not in seen.alerts:
            raise InputError(
                f"the state's news raises no alert {told['id']} with these settings; give finance-monitor explain the "
                "--false-alarms-per-day, --lateness, --companies, --calendar and --notices of the run"
            )
        deciding = checking.decisive(told["id"], items, seen, settings)
    return Reasons(deciding, explanation.worst(checking.titles(told), explainer))
