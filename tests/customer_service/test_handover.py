"""Hand-over under any order of events: one speaker, always a message, no circles; and what is stored of it."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from typer.testing import CliRunner

from apps.customer_service import conversations, handover, tables
from apps.customer_service import settings as settings_of_app
from apps.customer_service.answers import Answer, Citation
from apps.customer_service.cli import app
from apps.customer_service.conversations import Conversations
from apps.customer_service.handover import NotAllowed, State
from apps.customer_service.phrases import PHRASES
from apps.customer_service.question import MAX_LETTERS
from engine.db import Database
from engine.errors import InputError
from tests.customer_service.conftest import run

AGENTS = st.sampled_from(["ada", "bo"])


class Interleaved(RuleBasedStateMachine):
    """Customers, agents and the bot act in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()

    def happens(self, event: handover.Event, agent: str | None = None) -> bool:
        before = self.state
        try:
            stepped = handover.step(before, event, agent)
        except NotAllowed:
            return False
        self.state = stepped.state
        if (before.side, before.agent) != (self.state.side, self.state.agent):
            assert stepped.message, "the customer is told of each change"
            assert self.state.side != "waiting" or event == "ask", "nobody but the customer leads to the agents"
        if stepped.message:
            assert all(stepped.message in phrases for phrases in PHRASES.values())
        return True

    @rule()
    def customer_asks_for_a_human(self) -> None:
        before = self.state.side
        assert self.happens("ask") == (before != "closed")
        assert self.state.side in ({"closed"} if before == "closed" else {"waiting", "agent"})

    @rule()
    def customer_wants_the_bot_again(self) -> None:
        before = self.state.side
        assert self.happens("withdraw") == (before in ("bot", "waiting"))
        assert before not in ("bot", "waiting") or self.state == State("bot")

    @rule(agent=AGENTS)
    def agent_takes_over(self, agent: str) -> None:
        before = self.state.side
        assert self.happens("take_over", agent) == (before in ("waiting", "agent"))
        assert before not in ("waiting", "agent") or self.state == State("agent", agent)

    @rule(agent=AGENTS)
    def agent_takes(self, agent: str) -> None:
        self.happens("take", agent)

    @rule(agent=AGENTS)
    def agent_gives_back(self, agent: str) -> None:
        self.happens("give_back", agent)

    @rule(agent=AGENTS)
    def agent_speaks(self, agent: str) -> None:
        assert self.happens("agent_speaks", agent) == (self.state.side == "agent" and self.state.agent == agent)

    @rule()
    def bot_speaks(self) -> None:
        assert self.happens("bot_speaks") == (self.state.side == "bot")

    @rule()
    def customer_speaks(self) -> None:
        assert self.happens("customer_speaks") == (self.state.side != "closed")

    @rule()
    def closes(self) -> None:
        self.happens("close")

    @invariant()
    def exactly_one_side_answers(self) -> None:
        speakers = []
        for event, agent in (("bot_speaks", None), ("agent_speaks", "ada"), ("agent_speaks", "bo")):
            try:
                handover.step(self.state, event, agent)  # type: ignore[arg-type]
                speakers.append(agent or "bot")
            except NotAllowed:
                continue
        assert len(speakers) == (0 if self.state.side in ("waiting", "closed") else 1)


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

CITED = Answer("It is free.", "extract", (Citation("fees", "v1", 0, 11, "It is free.", "Fees"),), 0.9)


def test_a_conversation_keeps_turns_evidence_and_verdict(database: Database) -> None:
    talks = Conversations(database)
    id = talks.open("c-1")
    talks.happen(id, "customer_speaks", text="is it free? my mail is a@b.example, card 4242 4242 4242 4242")
    talks.answered(id, replace(CITED, why={"intent": "fees"}))
    assert talks.judge(id, True) == 2
    talks.happen(id, "ask")
    (waiting,) = talks.inbox()
    assert waiting.summary["evidence"] == [{"document": "fees", "quote": "It is free."}]
    assert waiting.summary["tried"] == [{"kind": "extract", "text": "It is free.", "intent": "fees"}]
    assert waiting.summary["questions"] == ["is it free? my mail is [EMAIL], card [CARD]"]
    assert [turn.role for turn in talks.turns(id)] == ["customer", "bot", "bot"]


def test_what_an_agent_writes_reaches_the_customer_as_it_is(database: Database) -> None:
    talks, said = Conversations(database), "Call +44 20 7946 0958 or write to disputes@bank.example."
    id = talks.open()
    talks.happen(id, "ask")
    talks.happen(id, "take", agent="ada")
    talks.happen(id, "customer_speaks", text="I am at a@b.example, my account is gb82west12345698765432")
    talks.happen(id, "agent_speaks", agent="ada", text=said)
    talks.replied(id, "ada", said, rater="desk/ada")
    assert [one.text for one in talks.turns(id)][-3:] == ["I am at [EMAIL], my account is [IBAN]", said, said]


def test_what_is_too_long_is_cut_before_it_is_stored(database: Database) -> None:
    talks = Conversations(database)
    id = talks.open()
    talks.happen(id, "customer_speaks", text="a@b.co " * 20_000)
    (told,) = talks.turns(id)
    assert told.text.startswith("[EMAIL] [EMAIL]")
    assert told.text.count("[EMAIL]") == MAX_LETTERS // len("a@b.co ")


def test_votes_edits_and_corrected_intents_are_feedback_and_forgotten_with_the_customer(database: Database) -> None:
    talks = Conversations(database, "acme")
    id, other = talks.open("c-1", consent=True), talks.open("c-2")
    answer = replace(CITED, models=("support-bot@2", "minilm"), why={"intent": "fees", "intent_probability": 0.7})
    talks.happen(id, "customer_speaks", text="is it free, a@b.example?")
    talks.answered(id, answer)
    talks.judge(id, False)
    talks.happen(id, "ask")
    talks.happen(id, "take", agent="ada")
    talks.happen(id, "customer_speaks", text="hello?")
    with pytest.raises(NotAllowed):
        talks.replied(id, "bo", "Hi", rater="desk/bo", intent="cards")
    with pytest.raises(InputError, match="turn 1 is no answer"):
        talks.replied(id, "ada", "Hi", rater="desk/ada", instead_of=1)
    before = talks.told(id)
    assert len(talks.feedback.read()) == 1, "nothing is stored of what was refused"
    talks.replied(id, "ada", "It costs 2.00.", rater="desk/ada", instead_of=2, intent="cards")
    assert [one.text for one in talks.told(id, before[-1].number)] == ["It costs 2.00."]
    vote, *taught = talks.feedback.read(app="customer_service", tenant="acme")
    edit, corrected = sorted(taught, key=lambda one: one.kind, reverse=True)
    assert {one.text for one in (vote, edit, corrected)} == {"is it free, [EMAIL]?"}
    assert {(one.subject, one.consent) for one in (vote, edit, corrected)} == {(id, True)}
    assert (vote.kind, vote.verdict, vote.rater, vote.model) == ("vote", 0.0, "c-1", "support-bot@2")
    assert (edit.kind, edit.correction, edit.rater) == ("edit", {"text": "It costs 2.00."}, "desk/ada")
    assert edit.said["text"] == "It is free."
    assert (corrected.kind, corrected.correction, corrected.rater) == ("correction", {"intent": "cards"}, "desk/ada")
    assert corrected.said == {"intent": {"label": "fees", "probability": 0.7}}
    talks.happen(other, "customer_speaks", text="hi")
    talks.answered(other, answer)
    talks.judge(other, True)
    assert [one.consent for one in talks.feedback.read(kind="vote")] == [True, False]
    assert talks.forget("c-1") == 1
    assert [one.rater for one in talks.feedback.read()] == ["c-2"]


def test_a_verdict_is_on_the_answer_that_it_names(database: Database) -> None:
    talks = Conversations(database)
    id = talks.open()
    for asked, told in (("is it free?", CITED), ("and abroad?", replace(CITED, text="It costs 2.00."))):
        talks.happen(id, "customer_speaks", text=asked)
        talks.answered(id, told)
    assert talks.judge(id, False, 2) == 2
    assert talks.judge(id, True) == 4
    votes = [(one.text, one.said["text"], one.verdict) for one in talks.feedback.read()]
    assert sorted(votes) == [("and abroad?", "It costs 2.00.", 1.0), ("is it free?", "It is free.", 0.0)]
    with pytest.raises(InputError, match="turn 3 is no answer"):
        talks.judge(id, True, 3)


def test_a_customer_who_asks_again_is_told_once(database: Database) -> None:
    talks = Conversations(database)
    id = talks.open()
    for _ in range(3):
        talks.happen(id, "ask")
        talks.happen(id, "customer_speaks", text="is anybody there?")
    talks.happen(id, "take", agent="ada")
    for _ in range(3):
        talks.happen(id, "ask")
    said = [one.text for one in talks.turns(id) if one.role == "bot"]
    assert said == [PHRASES["en"][key] for key in ("handed_over", "still_waiting", "agent_joined", "agent_is_here")]
    talks.happen(id, "give_back", agent="ada")
    talks.happen(id, "ask")
    talks.happen(id, "withdraw")
    talks.happen(id, "ask")
    said = [one.text for one in talks.turns(id)[-3:]]
    assert said == [PHRASES["en"][key] for key in ("handed_over", "withdrawn", "handed_over")], "changes always"


def test_customers_are_told_in_the_language_that_they_write(database: Database) -> None:
    talks = Conversations(database)
    wrote, pressed, neither = talks.open(), talks.open(), talks.open()
    talks.happen(wrote, "customer_speaks", text="如何冻结我的银行卡？")
    talks.happen(wrote, "customer_speaks", text="1234")
    talks.happen(wrote, "ask", lang="en")
    talks.happen(pressed, "ask", lang="zh")
    talks.happen(neither, "ask")
    for id, lang in ((wrote, "zh"), (pressed, "zh"), (neither, "en")):
        talks.happen(id, "take", agent="ada")
        talks.happen(id, "give_back", agent="ada")
        talks.happen(id, "close")
        told = [one.text for one in talks.turns(id) if one.role == "bot"]
        assert told == [PHRASES[lang][key] for key in ("handed_over", "agent_joined", "given_back", "closed")]


def test_the_inbox_begins_with_who_has_waited_longest(database: Database) -> None:
    talks = Conversations(database)
    first, second, third = talks.open(), talks.open(), talks.open()
    for id in (third, first, second):
        talks.happen(id, "ask")
        time.sleep(0.002)  # times have milliseconds
    assert [one.id for one in talks.inbox()] == [third, first, second]
    talks.happen(third, "withdraw")
    assert [one.id for one in talks.inbox()] == [first, second]
    talks.happen(third, "ask")
    talks.happen(first, "take", agent="ada")
    assert [one.id for one in talks.inbox()] == [second, third, first]
    assert all(one.asked > one.created for one in talks.inbox())


def test_an_absent_agent_is_relieved(database: Database) -> None:
    talks = Conversations(database)
    id = talks.open()
    talks.happen(id, "ask")
    talks.happen(id, "take", agent="ada")
    with pytest.raises(NotAllowed, match="with ada; take it over"):
        talks.happen(id, "take", agent="bo")
    assert talks.happen(id, "take_over", agent="bo") == State("agent", "bo")
    assert talks.turns(id)[-1].text == PHRASES["en"]["agent_joined"]
    with pytest.raises(NotAllowed, match="with bo"):
        talks.happen(id, "agent_speaks", agent="ada", text="I am back")


def test_who_waited_before_the_inbox_knew_since_when_has_waited_from_the_beginning(tmp_path: Path) -> None:
    old, url = tmp_path / "old", f"sqlite:///{tmp_path}/old.db"
    old.mkdir()
    for file in tables.MIGRATIONS.glob("000[1-5]_*.py"):
        shutil.copy(file, old)
    database = Database.open(url, name=tables.NAME, migrations=old)
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO support_conversations (tenant, id, customer, side, handed, created, consent) VALUES "
            "('default', 'a', '', 'waiting', 0, '2026-01-02', 0), ('default', 'b', '', 'bot', 0, '2026-01-01', 0)"
        )
    database.close()
    database = Database.open(url, name=tables.NAME, migrations=tables.MIGRATIONS)
    assert [(one.id, one.asked) for one in Conversations(database).inbox()] == [("a", "2026-01-02")]
    database.close()


def test_the_bot_cannot_answer_when_an_agent_has_come_in_between(database: Database) -> None:
    talks = Conversations(database)
    id = talks.open()
    talks.happen(id, "ask")
    talks.happen(id, "take", agent="ada")
    with pytest.raises(NotAllowed):
        talks.answered(id, CITED)
    with pytest.raises(NotAllowed, match="ada"):
        talks.happen(id, "agent_speaks", agent="bo", text="hello")
    assert "hello" not in [turn.text for turn in talks.turns(id)]


def test_what_is_over_is_followed_by_another_conversation(database: Database) -> None:
    talks = Conversations(database)
    id = talks.going("")
    assert talks.going(id) == id
    talks.happen(id, "close")
    second = talks.going(id)
    assert talks.state(second).side == "bot"
    talks.forget_one(second)
    assert talks.going(second) not in (id, second)


def test_a_forgotten_customer_leaves_nothing(database: Database) -> None:
    talks = Conversations(database)
    kept, gone = talks.open("kept"), talks.open("gone")
    for id in (kept, gone):
        talks.happen(id, "customer_speaks", text="who am I")
    assert talks.forget("gone") == 1
    assert [turn.text for turn in talks.turns(kept)] == ["who am I"]
    with pytest.raises(InputError, match="no such conversation"):
        talks.turns(gone)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM support_turns").scalar() == 1


def test_a_visitors_conversation_and_old_ones_are_forgotten_with_what_was_judged(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    talks, theirs = Conversations(database), Conversations(database, "theirs")
    days = {"visitor": 0, "silent": 40, "begun": 40, "kept": 40, "other": 40}
    monkeypatch.setattr(conversations, "datetime", _Clock)
    ids = {}
    for name, ago in days.items():
        _Clock.ago = timedelta(days=ago)
        whose = theirs if name == "other" else talks
        id = ids[name] = whose.open()
        if name != "begun":
            whose.happen(id, "customer_speaks", text="is it free?")
            whose.answered(id, CITED)
            whose.judge(id, True)
    _Clock.ago = timedelta(days=3)
    talks.happen(ids["kept"], "customer_speaks", text="and now?")
    _Clock.ago = timedelta(0)
    assert talks.forget_one(ids["visitor"]) == 1
    with pytest.raises(InputError, match="no such conversation"):
        talks.forget_one(ids["visitor"])
    with pytest.raises(InputError, match="no such conversation"):
        talks.forget_one(ids["other"])
    assert talks.forget_older(30) == 2, "the one that is silent, and the one in which nothing was ever said"
    assert [turn.text for turn in talks.turns(ids["kept"])][-1] == "and now?"
    assert {one.subject for one in talks.feedback.read()} == {ids["kept"], ids["other"]}


class _Clock(datetime):
    """A clock that goes so much behind."""

    ago = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) - cls.ago


def test_tenants_do_not_see_each_others_conversations(database: Database) -> None:
    id = Conversations(database, "ours").open("c")
    theirs = Conversations(database, "theirs")
    for call in (theirs.turns, theirs.state, lambda id: theirs.happen(id, "ask"), lambda id: theirs.judge(id, True)):
        with pytest.raises(InputError, match="no such conversation"):
            call(id)
    assert theirs.forget("c") == 0


def test_the_command_forgets_one_thing_at_a_time() -> None:
    talks = Conversations(settings_of_app.database())
    id = talks.open()
    assert run("forget", "--older-than", "30") == {"conversations": 0}
    for arguments in ([], ["c-1", "--conversation", id], ["--conversation", id, "--older-than", "30"]):
        with pytest.raises(InputError, match="name one of these"):
            CliRunner().invoke(app, ["forget", *arguments], catch_exceptions=False)
    assert run("forget", "--conversation", id) == {"conversations": 1}
    with pytest.raises(InputError, match="no such conversation"):
        CliRunner().invoke(app, ["forget", "--conversation", id], catch_exceptions=False)
    talks.database.close()
