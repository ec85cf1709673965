"""kill -9 while articles are deleted: what was said to be deleted is nowhere, and the rest is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from apps.customer_service import tables
from apps.customer_service.documents import Document
from apps.customer_service.finder import Finder, Fusion
from apps.customer_service.ingest import take
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.question import Question
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


def test_what_is_deleted_stays_deleted(tmp_path: Path) -> None:
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
    for number in range(KILLS):
        url = f"sqlite:///{tmp_path}/{number}.db"
        database = Database.open(url, name=tables.NAME, migrations=tables.MIGRATIONS)
        take(documents, Knowledge(database), embedder)
        database.close()
        with subprocess.Popen([sys.executable, "-c", CHILD, url], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            assert child.stdout.readline() == "ready\n"
            time.sleep(rolls.uniform(0, 0.3))
            child.send_signal(signal.SIGKILL)
            told = set(child.stdout.read().split())

        knowledge = Knowledge(Database.open(url, name=tables.NAME, migrations=tables.MIGRATIONS))
        finder = Finder(knowledge, embedder, Fusion(lexical=0.5))
        left = {document.id for document in knowledge.documents()}
        # A word that was cut off by the kill is no announcement, and one more may be deleted than was said.
        told &= {document.id for document in documents}
        assert not told & left
        assert len(told | left) >= DOCUMENTS - 1
        for gone in {document.id for document in documents} - left:
            found = finder.find(Question.of(f"secret word{gone[1:]}")).found
            assert gone not in {one.passage.chunk.document for one in found}
        with knowledge.database.read() as connection:
            owners = set(connection.execute(select(tables.chunks.c.document)).scalars())
            chunks = set(connection.execute(select(tables.chunks.c.id)).scalars())
            assert owners == left
            assert set(connection.execute(select(tables.vectors.c.chunk)).scalars()) == chunks
        knowledge.database.close()
