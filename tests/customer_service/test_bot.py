"""The bot whole: trained on toys, asked through the real commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from apps.customer_service import answerable, examples
from apps.customer_service.answers import Answer, Turn
from apps.customer_service.api import Desks
from apps.customer_service.bot import Bot
from apps.customer_service.cli import app
from apps.customer_service.conversations import Conversations
from apps.customer_service.dialogues import read_dialogues, read_questions
from apps.customer_service.handover import NotAllowed
from apps.customer_service.ingest import take
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.phrases import ALONE, PHRASES
from apps.customer_service.talk import talk, turn
from engine import Watch
from engine.drift.sketch import Sketch
from engine.drift.watch import seen
from engine.errors import InputError
from tests.customer_service.conftest import SUPPORT, WordVectors, run


def test_an_answer_quotes_the_live_documents_word_for_word(bot: Bot) -> None:
    documents = {document.id: document for document in bot.knowledge.documents()}
    answer = bot.answer("what is fee F-24?")
    assert answer.kind == "extract"
    assert answer.citations
    for cited in answer.citations:
        document = documents[cited.document]
        assert document.text[cited.start : cited.end] == cited.quote
        assert (document.version, document.title) == (cited.version, cited.title)
        assert " ".join(cited.quote.split()) in answer.text
    assert "support-bot@1" in answer.models


def test_below_the_bar_it_says_so_and_quotes_nothing(bot: Bot) -> None:
    strict = Bot(bot.knowledge, bot.models, error_rate=0.01)
    strict.bar = 1.1
    answer = strict.answer("do you sell houses on the moon?")
    assert (answer.kind, answer.citations) == ("abstain", ())
    assert "human" in answer.text
    assert bot.answer("  ").kind == "talk"


def test_what_its_intents_are_asked_is_counted_for_drift_and_no_text_is_kept(bot: Bot) -> None:
    database, now = bot.knowledge.database, datetime.now(UTC)
    with Watch(database) as watch:
        counting = Bot(bot.knowledge, bot.models, error_rate=0.99, watch=watch)
        counting.warm()
        for text in ("what is fee F-24?", "hello", "a human please", "and how do I pay it?"):
            counting.answer(text)
    name = str(bot.models.intents_name)
    found = seen(database, name, now, datetime.now(UTC), letters=13)
    asked = sum(found.values(), Sketch())
    assert asked.texts == 2, "the model was asked two of the four; what warms it is nobody's question"
    assert sum(asked.bins("intent: label").values()) == 2
    assert "F-24" not in str(asked.cells)


def test_a_deleted_article_is_not_quoted_again(bot: Bot, tmp_path: Path) -> None:
    before = bot.answer("what is fee F-24?")
    gone = {cited.document for cited in before.citations}
    kept = {document.id: document for document in bot.knowledge.documents()}
    try:
        bot.knowledge.delete(sorted(gone))
        after = bot.answer("what is fee F-24?")
        assert not gone & {cited.document for cited in after.citations}
        assert not gone & {passage["document"] for passage in after.why.get("passages", [])}
    finally:
        take([kept[id] for id in gone], bot.knowledge, bot.models.embedder)


def test_a_served_bot_is_made_anew_when_its_index_was_swapped_for_another_embedders(bot: Bot) -> None:
    database = bot.knowledge.database
    knowledge = Knowledge(database, "swapped")
    take(bot.knowledge.documents()[:2], knowledge, bot.models.embedder)
    desks = Desks(database, lambda tenant: Bot(Knowledge(database, tenant), bot.models))
    served = desks.bot("swapped")
    assert desks.bot("swapped") is served
    assert knowledge.reindex(WordVectors("others")) > 0
    assert served.stale()
    assert desks.bot("swapped") is not served


def test_a_conversation_goes_to_a_person_and_the_bot_is_silent_then(bot: Bot) -> None:
    desk = Conversations(bot.knowledge.database)
    id = desk.open()
    assert turn(bot, desk, id, "what is fee F-24?") is not None
    assert turn(bot, desk, id, "I want to talk to a human") is None
    assert turn(bot, desk, id, "what is fee F-24?") is None
    assert desk.state(id).side == "waiting"
    roles = [one.role for one in desk.turns(id)]
    assert roles == ["customer", "bot", "customer", "bot", "customer"]
    (waiting,) = [one for one in desk.inbox() if one.id == id]
    assert waiting.summary["tried"][0]["kind"] == "extract"


@pytest.mark.parametrize("lang", PHRASES)
def test_where_nobody_can_be_handed_over_to_no_person_is_promised(bot: Bot, lang: str) -> None:
    wish = {"en": "I want to talk to a human", "zh": "转人工"}[lang]
    assert (bot.answer(wish).text, bot.answer(wish, alone=True).text) == (
        PHRASES[lang]["handed_over"],
        ALONE[lang]["handed_over"],
    )
    assert bot.answer(wish, alone=True).kind == "handoff"
    strict = Bot(bot.knowledge, bot.models, error_rate=0.99)
    strict.bar = 1.1
    asked = {"en": "do you sell houses on the moon?", "zh": "你们在月球上卖房子吗？"}[lang]
    offered, told = strict.answer(asked), strict.answer(asked, alone=True)
    assert offered.kind == told.kind == "abstain"
    assert offered.text.startswith(PHRASES[lang]["abstain_near"])
    assert told.text.startswith(ALONE[lang]["abstain_near"])
    for text in ALONE[lang].values():
        assert "human" not in text.lower()
        assert "“人工”" not in text


def test_the_bot_keeps_back_what_it_has_to_say_when_an_agent_came_while_it_thought(bot: Bot) -> None:
    desk = Conversations(bot.knowledge.database)

    class Slow(Bot):
        def stream(self, text: str, history: Sequence[Turn] = (), *, alone: bool = False) -> Iterator[str | Answer]:
            yield from super().stream(text, history, alone=alone)
            desk.happen(id, "ask")
            desk.happen(id, "take", agent="ana")

    slow = Slow(bot.knowledge, bot.models, error_rate=0.99)
    for said in ("what is fee F-24?", "I want to talk to a human"):
        id = desk.open()
        assert turn(slow, desk, id, said) is None
        roles = [one.role for one in desk.turns(id)]
        assert roles[:3] == ["customer", "bot", "bot"]
        desk.happen(id, "close")
        with pytest.raises(NotAllowed):
            turn(slow, desk, id, said)


def test_a_terminal_shows_what_a_person_writes_and_leads_back_to_the_bot(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Conversations(bot.knowledge.database)

    def agent_comes() -> str:
        id = desk.inbox()[-1].id
        desk.happen(id, "take", agent="ana")
        desk.happen(id, "agent_speaks", agent="ana", text="Ana here")
        return "hello Ana"

    lines = iter(["/human", "anybody?", "/bot", "what is fee F-24?", "/human", agent_comes, "/bot", "/quit"])
    monkeypatch.setattr("builtins.input", lambda *_: line() if callable(line := next(lines)) else line)
    talk(bot, "c")
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("Ana here") == 1
    assert text.count("waiting for a colleague") == 3
    for told in ("I am handing you over", "I am here again", "F-24 the trace", "a colleague is here already"):
        assert told in text


def test_commands_answer_in_json_and_say_what_is_missing(
    trained_bot: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments, told in ((["ask", "hello"], "support-bot ingest"), (["delete", "never"], "no such document")):
        with pytest.raises(InputError, match=told):
            CliRunner().invoke(app, arguments, catch_exceptions=False)
    monkeypatch.setenv("KEEL_HOME", str(trained_bot))
    answer = run("ask", "thanks!")
    assert isinstance(answer, dict)
    assert answer["kind"] == "talk"
    assert len(run("documents")) == 100
    assert run("forget", "nobody") == {"conversations": 0}


def test_evaluation_gives_figures_with_intervals(
    trained_bot: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[str, str], Path]
) -> None:
    monkeypatch.setenv("KEEL_HOME", str(trained_bot))
    lines = (SUPPORT / "queries" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    kinds = ("answerable", "unanswerable", "follow_up")
    few = [line for kind in kinds for line in [one for one in lines if f'"kind": "{kind}"' in one][:6]]
    file, page = write("few.jsonl", "\n".join(few)), Path("report.html")
    found = run("evaluate", "--questions", str(file), "--error-rate", "0.99", "--report", str(page))
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 1
    assert "wrong_when_unanswerable" in text
    assert "http" not in text  # nothing is fetched from elsewhere
    assert isinstance(found, dict)
    for name in ("article_top3", "coverage", "wrong_when_unanswerable", "follow_up_top3"):
        assert 0 <= found[name]["low"] <= found[name]["value"] <= found[name]["high"] <= 1  # type: ignore[index]


def test_past_dialogues_teach_the_sentence_that_the_agent_used() -> None:
    from apps.customer_service.documents import Document

    text = "A trace costs 15.00 and takes five days.\n\nA recall costs 12.00. Cards are blue."
    documents = [Document("fees", "Fees", text, "en", "x"), Document("pots", "Pots", "Pots earn interest.", "en", "y")]
    lines = [
        {"id": "1", "article": "fees", "intent": "fees", "resolved": True,
         "turns": [{"role": "customer", "text": "what does it cost to search my transfer"},
                   {"role": "agent", "text": "A trace costs 15.00."}]},
        {"id": "2", "article": None, "resolved": False,
         "turns": [{"role": "customer", "text": "do pots fly"}, {"role": "agent", "text": "I don't know."}]},
    ]  # fmt: skip
    file = Path("past.jsonl")
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "broken\n", encoding="utf-8")
    dialogues, rejected = read_dialogues(file)
    assert [(one.line, one.reason) for one in rejected] == [(3, "field 'id' is missing or no text")]
    made = examples.make(dialogues, documents, WordVectors())
    held = examples.Sentences(documents, WordVectors())
    judged = examples.judged(made, held, WordVectors())
    right = [row["passage"] for row in judged if row["relevance"] == 1]
    assert right == ["Fees: A trace costs 15.00 and takes five days."]
    assert {row["relevance"] for row in judged if row["question"] == "do pots fly"} == {0}
    contexts = answerable.rows(made, held, WordVectors())
    assert [(row["question"], row["answerable"]) for row in contexts] == [
        ("what does it cost to search my transfer", "answerable"),
        ("do pots fly", "unanswerable"),
    ]
    assert contexts[0]["context"].startswith("A trace costs 15.00 and takes five days. ")
    assert [(one.document, one.sentence) for one in made.past()] == [
        ("fees", "A trace costs 15.00 and takes five days."),
        (None, ""),
    ]
    assert made.intents == [{"question": "what does it cost to search my transfer", "intent": "fees"}]


def test_personal_data_of_dialogues_is_masked_as_it_is_read() -> None:
    dialogues, _ = read_dialogues(SUPPORT / "dialogues.jsonl")
    said = " ".join(one.text for dialogue in dialogues for one in dialogue.turns)
    for secret in ("4242 4242", "LV80", "@mail.example", "+49 221"):
        assert secret not in said
    for mask in ("[CARD]", "[IBAN]", "[EMAIL]", "[PHONE]"):
        assert mask in said
    assert isinstance(dialogues[0].turns[0], Turn)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"kind": None}, "field 'kind' is missing"),
        ({"kind": "answerabel"}, "kind 'answerabel' is none of answerable, unanswerable"),
        ({"sentences": "Refunds still arrive."}, "field 'sentences' is no list of texts"),
        ({"sentences": ["Refunds still arrive.", " "]}, "field 'sentences' is no list of texts"),
        ({"also": "fees"}, "field 'also' is no list of texts"),
        ({"article": ["freeze"]}, "field 'article' is missing or no text"),
        ({"exact": "false"}, "field 'exact' is neither true nor false"),
    ],
)
def test_a_question_file_with_a_fault_names_the_line(
    write: Callable[[str, str], Path], fault: dict[str, object], told: str
) -> None:
    good = {"id": "1", "kind": "answerable", "text": "how?", "article": "freeze", "sentences": ["Refunds arrive."]}
    file = write("q.jsonl", f"{json.dumps(good)}\n{json.dumps(good | fault)}\n")
    with pytest.raises(InputError, match=f"line 2: {told}"):
        read_questions(file)


def test_packaged_question_files_are_read_whole() -> None:
    for file in sorted((SUPPORT / "queries").glob("*.jsonl")):
        assert len(read_questions(file)) == len(file.read_text(encoding="utf-8").splitlines())
