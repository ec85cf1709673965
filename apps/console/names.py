"""Names of the applications that the house may run."""

from __future__ import annotations

from enum import StrEnum


class App(StrEnum):
    CUSTOMER_SERVICE = "customer_service"
    FINANCE_MONITOR = "finance_monitor"
    RECOMMENDER = "recommender"

    @property
    def scope(self) -> str:
        """Which a key that is narrowed to some must name: the title of its API."""
        return {"customer_service": "support-bot", "finance_monitor": "finance-monitor"}.get(self, str(self))
