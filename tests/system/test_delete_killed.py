"""kill -9 while articles are deleted: what was said to be deleted is nowhere, and the rest is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from sqlalchemy import select

from apps.customer_service import tables
from apps.customer_service.documents import Document
from apps.customer_service.examples import Told
from apps.customer_service.finder import Finder, Fusion
from apps.customer_service.ingest import take
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.past import Exchange, Past
from apps.customer_service.question import Question
from apps.customer_service.templates import Templates, propose
from engine.db import Database
from tests.customer_service.conftest import WordVectors

pytestmark = pytest.mark.system
KILLS = int(os.environ.get("KEEL_KILLS", "5"))
DOCUMENTS = 60
CHILD = """
import sys
from apps.customer_service import tables
from apps.customer_service.knowledge import Knowledge
from engine.db import Database
knowledge = Knowledge(Database.open(sys.argv[1], name=tables.NAME, migrations=tables.MIGRATIONS))
print("ready", flush=True)
for one in knowledge.documents():
    knowledge.delete([one.id])
    print(one.id, flush=True)
"""


def said(document: Document) -> str:
    return f"Secret word{document.id[1:]} is here."


def approve_templates(knowledge: Knowledge) -> None:
    """One for each document."""
    templates = Templates(knowledge)
    versions = {one.id: one.version for one in knowledge.documents()}
    told = [Told("?", "It is here.", document.id, (said(document),), None) for document in knowledge.documents()] * 2
    templates.keep(propose(told, versions, WordVectors()))
    for one in templates.all():
        templates.approve(one.id)


def test_what_is_deleted_stays_deleted(new_database: Callable[[], str]) -> None:
    embedder = WordVectors()
    documents = [
        Document(
            f"d{at:02d}",
            f"Topic {at}",
            f"Secret word{at:02d} is here.\n\n## More\n\nAnd word{at:02d} again.",
            "en",
            "x",
        )
        for at in range(DOCUMENTS)
    ]
    rolls = random.Random(13)
    for _ in range(KILLS):
        url = new_database()
        database = Database.open(url, name=tables.NAME, migrations=tables.MIGRATIONS)
        knowledge = Knowledge(database)
        take(documents, knowledge, embedder)
        approve_templates(knowledge)
        database.close()
        with subprocess.Popen([sys.executable, "-c", CHILD, url], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            assert child.stdout.readline() == "ready\n"
            time.sleep(rolls.uniform(0, 0.3))
            child.send_signal(signal.SIGKILL)
            told = set(child.stdout.read().split())

        knowledge = Knowledge(Database.open(url, name=tables.NAME, migrations=tables.MIGRATIONS))
        past = Past.of([Exchange(f"past question {one.id}", one.id, said(one)) for one in documents], embedder)
        finder = Finder(knowledge, embedder, Fusion(lexical=0.5), past)
        templates = Templates(knowledge)
        left = {document.id for document in knowledge.documents()}
        # A word that was cut off by the kill is no announcement, and one more may be deleted than was said.
        told &= {document.id for document in documents}
        assert not told & left
        assert len(told | left) >= DOCUMENTS - 1
        for gone in {document.id for document in documents} - left:
            for asked in (f"secret word{gone[1:]}", f"past question {gone}"):
                found = finder.find(Question.of(asked)).found
                assert gone not in {one.passage.chunk.document for one in found}
            assert templates.of(gone, f"Secret word{gone[1:]} is here.") is None
        for kept in left:
            assert templates.of(kept, f"Secret word{kept[1:]} is here.") is not None
        with knowledge.database.read() as connection:
            owners = set(connection.execute(select(tables.chunks.c.document)).scalars())
            chunks = set(connection.execute(select(tables.chunks.c.id)).scalars())
            assert owners == left
            assert set(connection.execute(select(tables.vectors.c.chunk)).scalars()) == chunks
        # What was deleted, and that alone, stays so when its file is read again.
        assert set(knowledge.deleted()) == {document.id for document in documents} - left
        knowledge.database.close()
