"""The whole house in a process of its own, with toy models of everything, news of the past and feedback; on either
database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from apps.customer_service import tables
from apps.customer_service.confidence import Confidence
from apps.customer_service.finder import Fusion
from apps.customer_service.ingest import ingest
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.logistic import Logistic
from apps.customer_service.models import Models
from apps.customer_service.past import Past
from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.run import monitor
from apps.recommender.ranker import NAME, Recommender
from engine import Embedder, Progress, Store, Version, load, packaged
from engine.db import Database
from engine.decision import Decision, Gate, Taught, folder
from engine.drift import Watch
from engine.feedback import MIGRATIONS, Feedback, FeedbackLog
from tests.finance_monitor.test_serve import surge, usual
from tests.finance_monitor.words import models as words
from tests.recommender.conftest import recommender, shop, shop_settings, training  # noqa: F401
from tests.service.conftest import stored, trained_toy  # noqa: F401
from tests.services import EITHER, empty_database, free_port

KEEL = (sys.executable, "-c", "from apps.console.cli import main; main()")
WAIT_S = 90
USUAL = 300
SENTENCE, ANSWER = 11, 18
"""Figures that a bot weighs a sentence and an answer by."""
TEXTS = [f"Profit of the {name} rises by a tenth" for name in ("bank", "mill", "mine", "port", "farm", "yard")]


@dataclass(frozen=True)
class Site:
    address: str
    home: Path
    url: str
    """Of the database."""

    @property
    def environment(self) -> dict[str, str]:
        own = {"KEEL_HOME": str(self.home), "KEEL_DATABASE": self.url, "PYTHONPATH": os.pathsep.join(sys.path)}
        return {**os.environ, **own}

    def keel(self, *arguments: str) -> str:
        """What the command prints."""
        told = subprocess.run([*KEEL, *arguments], env=self.environment, capture_output=True, text=True, check=True)
        return told.stdout.strip()

    def feedback(self) -> list[Feedback]:
        database = Database.open(self.url, name="feedback", migrations=MIGRATIONS)
        try:
            return FeedbackLog(database).read()
        finally:
            database.close()


@pytest.fixture(scope="module", params=EITHER)
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    toy_base: Path,
    trained_toy: Version,  # noqa: F811
    recommender: Recommender,  # noqa: F811
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("house")
    site = Site(f"http://127.0.0.1:{free_port()}", home, empty_database(request.param, home, request))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(home))
        recommender.save(NAME)
        _toys(trained_toy)
        _bot(site, toy_base)
        _past(site)
    port = site.address.rpartition(":")[2]
    serve = [*KEEL, "serve", "--port", port]
    with (home / "log").open("w") as log, subprocess.Popen(serve, env=site.environment, stderr=log) as server:
        try:
            wait_for(site, server)
            yield site
        finally:
            server.terminate()
            assert server.wait(30) == 0, (home / "log").read_text(encoding="utf-8")


def _toys(version: Version) -> None:
    store = Store()
    first, _ = (stored(store, version, warmth) for warmth in (1.0, 2.0))
    store.promote(first)


def _bot(site: Site, base: Path) -> None:
    """A bot that is sure of whatever it finds first, by an encoder of random weights: codes are found all the same."""
    sentence, answer = (Logistic((0.0,) * of, (1.0,) * of, (0.0,) * of, 5.0) for of in (SENTENCE, ANSWER))
    sure = Confidence(sentence, answer, (0.0,) * 100)
    Models(str(base), None, None, None, Fusion(), sure, 0.5, Past()).save({})
    database = Database.open(site.url, name=tables.NAME, migrations=tables.MIGRATIONS)
    knowledge = Knowledge(database)
    ingest(
        [packaged() / "data/support/articles/en/fees-codes.md"], knowledge, Embedder(str(base)), Progress(quiet=True)
    )
    database.close()


def _past(site: Site) -> None:
    """News up to an alert that fires, feedback on the toy, what it was asked, and a challenger that was refused."""
    feed = site.home / "feed.jsonl"
    feed.write_text("".join(json.dumps(one) + "\n" for one in [*usual(USUAL), *surge(USUAL)]), encoding="utf-8")
    monitor([File(str(feed))], words(), state=site.url)
    database = Database.open(site.url, name="feedback", migrations=MIGRATIONS)
    log, toy = FeedbackLog(database), load("toy")
    with database.write() as connection:
        for number, text in enumerate(TEXTS):
            vote = Feedback(
                "default", "toy@1", f"s{number}", text, {"sentiment": {"label": "neutral", "probability": 0.4}},
                float(number % 2), app="customer_service", kind="vote", rater=f"r{number}", consent=True,
            )  # fmt: skip
            log.add(connection, vote)
    with Watch(database) as watch:
        watch.seen("toy@1", toy.predict(TEXTS), TEXTS)
    database.close()
    gate = Gate("better", False, -0.012, 0.0, (-0.02, -0.004), "accuracy of the challenger less the champion's")
    taught = Taught(6, ("a", "b"), (), 2, 40, (), "0" * 64)
    refused = Decision("d1", "toy", "2026-03-02T08:00:00+00:00", "toy@1", "toy@2", False, (gate,), taught, ())
    place = folder("toy") / refused.id
    place.mkdir(parents=True)
    refused.write(place)


def wait_for(site: Site, server: subprocess.Popen[bytes]) -> None:
    """Until nothing loads any more."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        assert server.poll() is None, (site.home / "log").read_text(encoding="utf-8")
        try:
            if httpx.get(f"{site.address}/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail((site.home / "log").read_text(encoding="utf-8"))
