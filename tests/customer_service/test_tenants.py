"""Tenants never see each other, whatever they do in whatever order."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.customer_service import tables
from apps.customer_service.conversations import Conversations
from apps.customer_service.documents import Document
from apps.customer_service.examples import Told
from apps.customer_service.finder import Finder, Fusion
from apps.customer_service.ingest import take
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.question import Question
from apps.customer_service.templates import Templates, propose
from engine.db import Database
from tests.customer_service.conftest import WordVectors

TENANTS = ("acme", "bolt")
STEPS = st.tuples(
    st.sampled_from(TENANTS), st.sampled_from(["take", "delete", "talk", "forget", "template"]), st.integers(0, 2)
)


@given(st.lists(STEPS, max_size=8))
@settings(max_examples=25, deadline=None)
def test_each_tenant_sees_exactly_what_it_did_itself(steps: list[tuple[str, str, int]]) -> None:
    embedder = WordVectors()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/bot.db"
        database = Database.open(url, name=tables.NAME, migrations=tables.MIGRATIONS)
        documents: dict[str, set[int]] = {tenant: set() for tenant in TENANTS}
        talks: dict[str, dict[int, list[str]]] = {tenant: {0: [], 1: [], 2: []} for tenant in TENANTS}
        templates: dict[str, set[str]] = {tenant: set() for tenant in TENANTS}
        for tenant, act, number in steps:
            knowledge, desk = Knowledge(database, tenant), Conversations(database, tenant)
            # Both tenants use the same ids, titles and customers, and each its own words.
            said = f"{tenant} secret {number}."
            if act == "take":
                take([Document(f"d{number}", "Title", said, "en", f"{number}.md")], knowledge, embedder)
                documents[tenant].add(number)
            elif act == "delete":
                knowledge.delete([f"d{number}"])
                documents[tenant].discard(number)
                templates[tenant] = {text for text in templates[tenant] if text.casefold() != said.casefold()}
            elif act == "talk":
                id = desk.open(f"customer-{number}")
                desk.happen(id, "customer_speaks", text=said)
                desk.happen(id, "ask")
                talks[tenant][number].append(id)
            elif act == "forget":
                assert desk.forget(f"customer-{number}") == len(talks[tenant][number])
                talks[tenant][number] = []
            elif number in documents[tenant]:
                told = [Told("?", said, f"d{number}", (said,), None)] * 2
                versions = {one.id: one.version for one in knowledge.documents()}
                Templates(knowledge).keep(found := propose(told, versions, embedder))
                templates[tenant] |= {one.text for one in found}
        for tenant in TENANTS:
            knowledge, desk = Knowledge(database, tenant), Conversations(database, tenant)
            texts = {document.text for document in knowledge.documents()}
            assert texts == {f"{tenant} secret {number}." for number in documents[tenant]}
            for other in TENANTS:
                found = Finder(knowledge, embedder, Fusion()).find(Question.of(f"{other} secret 1")).found
                assert all(one.passage.chunk.text in texts for one in found)
            inbox = {one.id: one.summary["questions"] for one in desk.inbox()}
            assert set(inbox) == {id for ids in talks[tenant].values() for id in ids}
            assert all(tenant in question for questions in inbox.values() for question in questions)
            kept = {one.text for one in Templates(knowledge).all()}
            assert {text.casefold() for text in kept} == {text.casefold() for text in templates[tenant]}
        database.close()
