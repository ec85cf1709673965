"""Bots of tenants while their models change: the promoted bundle answers, a broken one does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.customer_service.api import Desks
from apps.customer_service.bot import Bot
from apps.customer_service.models import NAME, promoted
from engine import Store, Version
from engine.db import Database

WAIT_S = 30.0


class Standin:
    """Stands for a bot with a promoted bundle, as `ready` makes one; it knows what it is of, and nothing else."""

    def __init__(self) -> None:
        self.models = SimpleNamespace(version=str(Store().get(NAME)), whole=promoted()[1])
        self.warmed = False

    def stale(self) -> bool:
        return False

    def refresh(self) -> None:
        """It has no articles."""

    def warm(self) -> None:
        self.warmed = True


def stored(store: Store) -> Version:
    with store.staging(NAME) as place:
        (place / "bundle.json").write_text('{"intents_name": "intents@1"}', encoding="utf-8")
        return store.commit(NAME, place, {})


def intents(store: Store, **retrain: str) -> Version:
    with store.staging("intents") as place:
        return store.commit("intents", place, {"retrain": retrain} if retrain else {})


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_a_promoted_bundle_answers_and_a_broken_one_does_not(
    database: Database, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    first, second, broken = (stored(store) for _ in range(3))
    store.promote(first)
    store.promote(intents(store))
    made: list[Any] = []

    def bot_of(_: str) -> Bot:
        made.append(Standin())
        found: Bot = made[-1]
        return found

    desks = Desks(database, bot_of)
    watch = threading.Thread(target=desks.keep_current, args=(0.01,))
    watch.start()
    try:
        assert desks.bot("acme").models.version == str(first)
        store.promote(second)
        until(lambda: desks.bot("acme").models.version == str(second))
        assert made[1].warmed, "it was ready before it was asked"
        (broken.folder / "bundle.json").write_text("[]", encoding="utf-8")
        store.promote(broken)
        until(lambda: "refused" in desks.readiness().details[NAME])
        assert desks.readiness().details == {NAME: f"{second} answers; {broken} is refused: see the log"}
        assert caplog.messages[-1].startswith(f"{broken} is not taken, {second} answers on: ")
        store.rollback(NAME)
        until(lambda: desks.readiness().details == {NAME: f"{second} answers"})
        assert len(made) == 2
        store.promote(intents(store, champion="intents@1"))
        until(lambda: desks.readiness().details == {NAME: f"{second} with intents@2 answers"})
    finally:
        desks.close()
        watch.join()
