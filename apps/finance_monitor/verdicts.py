"""Verdicts: what analysts say of alerts, kept as feedback on the models that raised them.

News are public and so are their words: what is said of them may be trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.feedback import Feedback, FeedbackLog

if TYPE_CHECKING:
    from engine.db import Database

APP = "finance_monitor"
HEADLINES = 5
"""Of an alert's evidence that stand for it."""
SAID = ("kind", "key", "severity", "observed", "expected", "p_value")


class Verdicts:
    """Those of one tenant."""

    def __init__(self, database: Database, tenant: str = "default") -> None:
        self.database, self.tenant = database, tenant
        self._log = FeedbackLog(database)

    def add(self, alert: dict[str, Any], right: bool | None, rater: str, note: str = "") -> Feedback:
        """Whether an alert was right, or a note on it.

        Args:
            alert: as it was told last.
        """
        model = alert["model"]
        one = Feedback(
            self.tenant,
            f"{model['name']}@{model['version']}" if model.get("version") else str(model.get("name") or ""),
            alert["id"],
            "\n".join(item["title"] for item in alert["evidence"][:HEADLINES]),
            {name: alert[name] for name in SAID},
            None if right is None else float(right),
            {"note": note} if note.strip() else None,
            app=APP,
            kind="verdict",
            rater=rater,
            consent=True,
        )
        with self.database.write() as connection:
            self._log.add(connection, one)
        return one

    def all(self) -> dict[str, bool]:
        """Alert's id -> the last verdict on it."""
        found = self._log.read(tenant=self.tenant, app=APP, kind="verdict")
        return {one.subject: bool(one.verdict) for one in found if one.verdict is not None}
