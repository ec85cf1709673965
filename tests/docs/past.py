"""Past: what a house has after a while that the tutorial's has not, as its applications would have left it."""

from __future__ import annotations

import shutil
from pathlib import Path

from apps.recommender import ranker, tables
from apps.recommender.logbook import Logbook
from apps.recommender.ranker import Recommender
from engine import Store
from engine.feedback import Feedback, opened
from tests.recommender.test_golden import golden
from tests.recommender.test_retrain import by_taste

ASKED = (
    "Do you have time for my brakes on Friday?",
    "The invoice for the new saddle is wrong",
    "My wheel wobbles since you built it",
    "Could I bring two bikes next week?",
    "Why does a gear cable cost so much?",
    "Nobody told me that the pedals would be late",
)


def votes(model: str) -> None:
    """Thumbs, every other one down, on what a model answered."""
    with opened() as log, log.database.write() as connection:
        for number, text in enumerate(ASKED):
            said = {"label": {"label": "booking", "probability": 0.5}}
            log.add(
                connection,
                Feedback(
                    "default", model, f"talk-{number}", text, said, float(number % 2),
                    app="customer_service", kind="vote", rater=f"customer-{number}", consent=True,
                ),
            )  # fmt: skip


def intents(model: str) -> None:
    """A classifier under the name of the bot's."""
    store, name = Store(), "support-intents"
    version = store.get(model)
    with store.staging(name) as place:
        shutil.copytree(version.folder, place, dirs_exist_ok=True)
        (place / "manifest.json").unlink()
        store.promote(store.commit(name, place, version.manifest()))


def clicks(recommender: Recommender, folder: Path) -> None:
    """A shop whose users came back after its recommender had learnt, and a panel's lists in a folder."""
    golden().to_csv(folder / "panel.csv", index=False)
    recommender.save(ranker.NAME)
    database = tables.opened(None)
    Logbook(database, "default").add(by_taste(60, 8))
    database.close()
