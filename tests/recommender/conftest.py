"""A small shop in which users stay with one of four tastes, and each taste has an order of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.recommender.events import Events
from apps.recommender.items import Items
from apps.recommender.ranker import Recommender
from apps.recommender.settings import Settings
from apps.recommender.training import Training
from engine import Progress

TASTES = ("market shares fall", "bank profit rises", "oil price outlook", "chip maker orders")
EACH = 12
USERS = 240


def shop_items() -> Items:
    rows = [
        {"item_id": f"{taste}-{number}", "title": f"{words} {number}", "category": words, "price": 5.0 + number,
         "published": "2026-01-01T00:00:00Z"}
        for taste, words in enumerate(TASTES)
        for number in range(EACH)
    ]  # fmt: skip
    return Items.of(pd.DataFrame(rows))


def shop_events(*, timed: bool = True) -> Events:
    random = np.random.default_rng(5)
    rows = []
    for user in range(USERS):
        taste, at = user % len(TASTES), int(random.integers(EACH))
        for place in range(6):
            at = (at + int(random.integers(1, 3))) % EACH
            event = "purchase" if random.random() < 0.3 else "click"
            when = pd.Timestamp("2026-02-01", tz="UTC") + pd.Timedelta(hours=place * 40 + int(random.integers(40)))
            rows.append((f"u{user}", f"{taste}-{at}", event, 1.0, when if timed else None))
    return Events.of(pd.DataFrame(rows, columns=["user_id", "item_id", "event", "weight", "datetime"]))


@pytest.fixture(scope="session")
def shop() -> tuple[Items, Events]:
    return shop_items(), shop_events()


@pytest.fixture(scope="session")
def shop_settings(toy_base: Path) -> Settings:
    return Settings.parse(
        {
            "values": {"click": 1.0, "purchase": 10.0},
            "step_share": 0.3,
            "negatives": 10,
            "newcomers": 0.25,
            "text": {"base": str(toy_base), "pairs": 0, "epochs": 4, "width": 16},
            "sequence": {"epochs": 4, "width": 16},
            "booster": {"rounds": 40, "threads": 1, "learning_rate": 0.1},
        }
    )


@pytest.fixture(scope="session")
def training(shop: tuple[Items, Events], shop_settings: Settings, session_home: Path) -> Training:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(session_home))
        return Training.of(*shop, shop_settings, Progress(quiet=True))


@pytest.fixture(scope="session")
def recommender(training: Training) -> Recommender:
    return Recommender.learnt(training)
