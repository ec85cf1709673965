"""PostgreSQL in place of SQLite: the same knowledge, conversations, keys and templates."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from apps.customer_service import tables
from apps.customer_service.conversations import Conversations
from apps.customer_service.examples import Told
from apps.customer_service.finder import Finder, Fusion
from apps.customer_service.handover import NotAllowed
from apps.customer_service.ingest import ingest
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.question import Question
from apps.customer_service.templates import Templates, propose
from engine import Progress
from engine.db import Database
from engine.service import Keys
from tests.customer_service.conftest import WordVectors


@pytest.fixture
def database(postgresql: str) -> Iterator[Database]:
    found = Database.open(postgresql, name=tables.NAME, migrations=tables.MIGRATIONS)
    yield found
    found.close()


def test_everything_that_is_stored_works_there_too(
    database: Database, articles: Callable[..., Path], embedder: WordVectors
) -> None:
    knowledge = Knowledge(database, "acme")
    folder = articles(
        freeze="# Freeze\n\nA frozen card refuses payments.", fees="# Fees\n\nA trace costs 15.00 (F-24)."
    )
    assert ingest([folder], knowledge, embedder, Progress(quiet=True)).documents == 2
    assert ingest([folder], knowledge, embedder, Progress(quiet=True)).unchanged == 2
    finder = Finder(knowledge, embedder, Fusion())
    assert finder.find(Question.of("what is f24")).found[0].passage.chunk.document == "fees"
    assert knowledge.reindex(WordVectors("others")) == 2
    versions = {one.id: one.version for one in knowledge.documents()}
    said = [Told("f24?", text, "fees", ("A trace costs 15.00 (F-24).",), None) for text in ("15 euro.", "It is 15.")]
    templates = Templates(knowledge)
    templates.keep(propose(said, versions, embedder))
    templates.approve(templates.all()[0].id)
    assert knowledge.delete(["fees"]) == ["fees"]
    assert templates.all() == []
    assert Knowledge(database, "other").documents() == []

    desk = Conversations(database, "acme")
    id = desk.open("customer-1")
    desk.happen(id, "customer_speaks", text="my card is 4111 1111 1111 1111")
    assert "4111" not in desk.turns(id)[0].text
    assert desk.happen(id, "ask").side == "waiting"
    assert [one.id for one in desk.inbox()] == [id]
    assert desk.forget_older(1) == 0
    assert desk.forget("customer-1") == 1
    assert desk.forget_one(desk.open()) == 1
    keys = Keys(database)
    caller = keys.caller(keys.add("shop", "server", "acme"))
    assert caller is not None
    assert caller.tenant == "acme"


def test_who_acts_at_the_same_moment_acts_one_after_the_other(database: Database) -> None:
    desk = Conversations(database, "at-once")

    def at_once(*acts: Callable[[], object]) -> list[BaseException | None]:
        together = threading.Barrier(len(acts))

        def act(one: Callable[[], object]) -> None:
            together.wait()
            one()

        with ThreadPoolExecutor(len(acts)) as pool:
            return [done.exception() for done in [pool.submit(act, one) for one in acts]]

    for _ in range(20):
        id = desk.open()
        said = ("one", "two", "three \x00")
        faults = at_once(*(partial(desk.happen, id, "customer_speaks", text=text) for text in said))
        assert faults == [None] * 3
        assert sorted(one.text for one in desk.turns(id)) == ["one", "three ", "two"]
        desk.happen(id, "ask")
        faults = at_once(*(partial(desk.happen, id, "take", agent=agent) for agent in ("ana", "bo")))
        assert sorted(map(type, faults), key=str) == [type(None), NotAllowed]
        assert [one.role for one in desk.told(id, 4)] == ["bot"]
