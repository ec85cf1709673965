"""Models of a bot: one bundle is loaded once, whoever answers with it."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path

from apps.customer_service.api import Desks
from apps.customer_service.bot import ready
from apps.customer_service.confidence import Confidence
from apps.customer_service.documents import Document
from apps.customer_service.finder import Fusion
from apps.customer_service.ingest import take
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.logistic import Logistic
from apps.customer_service.models import Models
from apps.customer_service.past import Past
from engine.db import Database
from tests.customer_service.test_desks import until


def bundle(base: Path) -> Models:
    nothing = Logistic((0.0,), (1.0,), (1.0,), 0.0)
    return Models(str(base), None, None, None, Fusion(), Confidence(nothing, nothing, (0.0,) * 100), 0.3, Past())


def test_tenants_share_what_a_bundle_has_loaded_and_let_go_of_the_one_before(
    database: Database, home: Path, toy_base: Path
) -> None:
    embedder = bundle(toy_base).save({}).embedder
    for tenant in ("acme", "bolt"):
        take([Document("a", "A", "One.", "en", "a.md")], Knowledge(database, tenant), embedder)
    bots = [ready(database, tenant, 0.9) for tenant in ("acme", "bolt", "acme")]
    assert len({id(bot.models.embedder) for bot in bots}) == 1
    before = weakref.ref(bots[0].models)
    bundle(toy_base).save({})
    bots = [ready(database, tenant, 0.9) for tenant in ("acme", "bolt")]
    assert [bot.models.version for bot in bots] == ["support-bot@2"] * 2
    gc.collect()
    assert before() is None


def test_a_served_bot_takes_up_what_is_new_before_it_is_asked(database: Database, home: Path, toy_base: Path) -> None:
    knowledge, embedder = Knowledge(database, "acme"), bundle(toy_base).save({}).embedder
    take([Document("a", "A", "One.", "en", "a.md")], knowledge, embedder)
    desks = Desks(database, lambda tenant: ready(database, tenant, 0.9, lag_s=60.0))
    watch = threading.Thread(target=desks.keep_current, args=(0.01,))
    watch.start()
    try:
        finder = desks.bot("acme").finder
        assert len(finder.index().chunks) == 1
        take([Document("b", "B", "Two.", "en", "b.md")], knowledge, embedder)
        until(lambda: finder._index is not None and len(finder._index.chunks) == 2)
    finally:
        desks.close()
        watch.join()
