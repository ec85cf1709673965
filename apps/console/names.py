"""Names of the applications that the house may run."""

from __future__ import annotations

from enum import StrEnum


class App(StrEnum):
    CUSTOMER_SERVICE = "customer_service"
    FINANCE_MONITOR = "finance_monitor"
    RECOMMENDER = "recommender"
