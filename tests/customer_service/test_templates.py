"""Templates: made of past replies, answered with only as reviewed, and only while the article stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from apps.customer_service import tables
from apps.customer_service.examples import Told
from apps.customer_service.ingest import ingest
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.templates import Templates, propose
from engine import Progress
from engine.errors import InputError
from tests.customer_service.conftest import WordVectors

FEES = "# Fees\n\nA trace costs 15.00. Cards are blue."
TRACE = ("A trace costs 15.00.",)


def told(reply: str, said: tuple[str, ...] = TRACE, intent: str = "fees") -> Told:
    return Told("what is a trace", reply, "fees", said, intent)


@pytest.fixture
def templates(articles: Callable[..., Path], knowledge: Knowledge, embedder: WordVectors) -> Templates:
    ingest([articles(fees=FEES)], knowledge, embedder, Progress(quiet=True))
    return Templates(knowledge)


def made(templates: Templates, *replies: Told) -> int:
    versions = {one.id: one.version for one in templates.knowledge.documents()}
    return templates.keep(propose(replies, versions, WordVectors()))


def test_replies_from_one_sentence_make_one_template_without_greeting_and_personal_data(templates: Templates) -> None:
    replies = [told("Hi Elena, a trace costs 15 euro, charged to [IBAN]."), told("A trace costs 15 euro."), told("15.")]
    assert made(templates, *replies, told("Blue.", ("Cards are blue.",))) == 1
    (one,) = templates.all()
    assert (one.state, one.replies, one.intent, one.sentences) == ("proposed", 3, "fees", TRACE)
    assert "Elena" not in one.text
    assert made(templates, *replies) == 0


def test_a_slot_is_filled_without_the_customers_own_data(templates: Templates) -> None:
    made(templates, *[told("Dear Sir, it is taken from [IBAN] now.")] * 2)
    (one,) = templates.all()
    assert one.text == "It is taken from {IBAN} now."
    assert one.filled() == "It is taken from your IBAN now."


def test_only_what_is_approved_is_answered_with_and_only_while_the_article_stands(
    templates: Templates, articles: Callable[..., Path], embedder: WordVectors
) -> None:
    made(templates, told("15 euro."), told("It is 15 euro."))
    (proposed,) = templates.all()
    assert templates.of("fees", TRACE[0]) is None
    assert templates.approve(proposed.id, "A trace is 15 euro.").state == "approved"
    found = templates.of("fees", TRACE[0])
    assert found is not None
    assert found.text == "A trace is 15 euro."
    assert templates.of("fees", "Cards are blue.") is None

    take = lambda text: ingest([articles(fees=text)], templates.knowledge, embedder, Progress(quiet=True))  # noqa: E731
    take(FEES.replace("blue", "green"))
    assert templates.of("fees", TRACE[0]) is None
    assert templates.get(proposed.id).state == "suspended"
    templates.approve(proposed.id)  # the sentence still stands there
    assert templates.of("fees", TRACE[0]) is not None
    take(FEES.replace("15.00", "16.00"))
    with pytest.raises(InputError, match="does not say any more"):
        templates.approve(proposed.id)
    templates.reject(proposed.id)
    assert templates.get(proposed.id).state == "rejected"


def test_a_deleted_article_takes_its_templates_along(templates: Templates) -> None:
    made(templates, *[told("15 euro.")] * 2, *[told("Cards are blue.", ("Cards are blue.",))] * 2)
    one, two = templates.all()
    templates.approve(one.id)
    templates.reject(two.id)
    templates.knowledge.delete(["fees"])
    assert templates.all() == []
    with templates.knowledge.database.read() as connection:
        assert connection.execute(select(tables.templates)).all() == []


@pytest.mark.parametrize("strange", ["{CUSTOMER}", "{name}", "{}", "{{IBAN}}"])
def test_braces_that_are_no_slot_are_not_approved(templates: Templates, strange: str) -> None:
    made(templates, *[told("It is taken from [IBAN].")] * 2)
    (one,) = templates.all()
    with pytest.raises(InputError, match=r"no slot.*\{EMAIL\}, \{PHONE\}"):
        templates.approve(one.id, f"Dear {strange}, it is 15 euro.")
    assert templates.approve(one.id).state == "approved"


def test_a_macro_in_past_replies_is_no_slot(templates: Templates) -> None:
    made(templates, *[told("It is 15 euro, {NAME}.")] * 2)
    (one,) = templates.all()
    with pytest.raises(InputError, match=r"\{NAME\} is no slot"):
        templates.approve(one.id)
    assert one.filled() == "It is 15 euro, {NAME}."


def test_tenants_have_their_own(templates: Templates) -> None:
    made(templates, told("15 euro."), told("It is 15 euro."))
    assert Templates(Knowledge(templates.knowledge.database, "other")).all() == []
    with pytest.raises(InputError, match="no template"):
        templates.get("nothing")
