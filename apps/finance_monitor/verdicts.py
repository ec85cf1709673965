"""Verdicts: what analysts say of alerts, kept as feedback on the models that raised them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.feedback import Feedback, FeedbackLog

if TYPE_CHECKING:
    from engine.db import Database

HEADLINES = 5
"""Of the evidence that are kept with a verdict."""
SAID = ("key", "severity", "observed", "expected", "p_value")


class Verdicts:
    """Those of one tenant."""

    def __init__(self, database: Database, tenant: str = "default") -> None:
        self.database, self.tenant = database, tenant
        self._log = FeedbackLog(database)

    def add(self, alert: dict[str, Any], right: bool, rater: str) -> None:
        """Whether an alert was worth raising.

        Args:
            alert: as it was told.
        """
        model = alert["model"]
        name = model["name"] if model["version"] is None else f"{model['name']}@{model['version']}"
        headlines = "\n".join(one["title"] for one in alert["evidence"][:HEADLINES])
        said = {name: alert[name] for name in SAID}
        verdict = Feedback(
            self.tenant, name, alert["id"], headlines, said, float(right),
            app="finance_monitor", kind="verdict", rater=rater, consent=True,
        )  # fmt: skip
        with self.database.write() as connection:
            self._log.add(connection, verdict)

    def all(self) -> dict[str, bool]:
        """Alert's id -> the last verdict on it."""
        found = self._log.read(tenant=self.tenant, app="finance_monitor", kind="verdict")
        return {one.subject: bool(one.verdict) for one in found}
