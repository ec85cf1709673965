"""Knowledge, ingestion and search: what is in the database is found, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from apps.customer_service import tables
from apps.customer_service.finder import Finder, Fusion
from apps.customer_service.ingest import Ingested, ingest
from apps.customer_service.knowledge import Knowledge, Stored
from apps.customer_service.past import Exchange, Past
from apps.customer_service.question import Question
from engine import Progress
from engine.db import Database
from engine.errors import InputError
from tests.customer_service.conftest import WordVectors

Articles = Callable[..., Path]
FREEZE = (
    "# Freeze a card\n\nA frozen card refuses payments. Refunds still arrive.\n\n## Thaw\n\nTap the snowflake again."
)
FEES = "# Fees\n\nA trace of a transfer costs 15.00 (F-24)."


def take(
    folder: Path, knowledge: Knowledge, embedder: WordVectors, *, prune: bool = False, again: Sequence[str] = ()
) -> Ingested:
    return ingest([folder], knowledge, embedder, Progress(quiet=True), prune=prune, again=again)


def found(finder: Finder, text: str) -> list[str]:
    return [one.passage.chunk.document for one in finder.find(Question.of(text)).found]


def test_what_is_ingested_is_found_by_meaning_and_by_code(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors
) -> None:
    done = take(articles(freeze=FREEZE, fees=FEES), knowledge, embedder)
    assert (done.documents, done.chunks, done.unchanged) == (2, 3, 0)
    finder = Finder(knowledge, embedder, Fusion())
    assert found(finder, "do refunds arrive on a frozen card?")[0] == "freeze"
    assert found(finder, "what is f24")[0] == "fees"


def test_unchanged_files_are_skipped_and_a_change_embeds_only_itself(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors
) -> None:
    take(articles(freeze=FREEZE, fees=FEES), knowledge, embedder)
    read = embedder.read
    assert take(articles(), knowledge, embedder).unchanged == 2
    assert embedder.read == read
    take(articles(freeze=FREEZE.replace("snowflake", "sun")), knowledge, embedder)
    assert embedder.read - read == 3  # the changed chunk's topic, itself and its sentence


def test_deleted_documents_are_never_found_again(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors
) -> None:
    take(articles(freeze=FREEZE, fees=FEES), knowledge, embedder)
    finder = Finder(knowledge, embedder, Fusion())
    assert "freeze" in found(finder, "frozen card")
    assert knowledge.delete(["freeze", "never-there"]) == ["freeze"]
    assert "freeze" not in found(finder, "frozen card")
    assert found(finder, "frozen card") == ["fees"]


def test_what_was_deleted_does_not_come_back_with_its_file(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors
) -> None:
    folder = articles(freeze=FREEZE, fees=FEES)
    take(folder, knowledge, embedder)
    knowledge.delete(["freeze"])
    for text in (FREEZE, FREEZE + " And more."):
        done = take(articles(freeze=text), knowledge, embedder)
        assert (done.documents, done.deleted, done.missing) == (0, ["freeze"], [])
        assert [one.id for one in knowledge.documents()] == ["fees"]
    assert take(folder, knowledge, embedder, again=["freeze"]).documents == 1
    assert knowledge.counts()[0] == 2
    assert take(folder, knowledge, embedder).deleted == []
    with pytest.raises(InputError, match="not among the documents that were deleted: fees, nobody"):
        take(folder, knowledge, embedder, again=["fees", "nobody"])


def test_a_deleted_row_of_a_faq_stays_deleted_and_the_others_do_not(
    tmp_path: Path, knowledge: Knowledge, embedder: WordVectors
) -> None:
    faq = tmp_path / "faq.csv"
    rows = "id,question,answer\n1,How?,So.\n2,Why?,Because.\n"
    faq.write_text(rows, encoding="utf-8")
    take(faq, knowledge, embedder)
    knowledge.delete(["faq#1"])
    done = take(faq, knowledge, embedder)
    assert (done.unchanged, done.deleted) == (1, ["faq#1"])
    faq.write_text(rows + "3,When?,Now.\n", encoding="utf-8")
    done = take(faq, knowledge, embedder)
    assert (done.documents, done.deleted) == (2, ["faq#1"])
    assert [one.id for one in knowledge.documents()] == ["faq#2", "faq#3"]
    faq.write_text(rows.replace("1,How?,So.\n", ""), encoding="utf-8")
    assert take(faq, knowledge, embedder).deleted == []  # the file does not hold it any more
    faq.write_text(rows, encoding="utf-8")
    assert take(faq, knowledge, embedder).deleted == ["faq#1"]
    assert take(faq, knowledge, embedder, again=["faq#1"]).documents == 2
    faq.unlink()
    assert take(tmp_path, knowledge, embedder, prune=True).removed == 2


def test_what_is_deleted_while_its_file_is_read_stays_deleted(articles: Articles, knowledge: Knowledge) -> None:
    class Slow(WordVectors):
        def stream(self, texts: Iterable[str], *, side: str = "text") -> Iterator[NDArray[np.float32]]:
            yield from super().stream(texts, side=side)
            knowledge.delete(["freeze"])

    take(articles(freeze=FREEZE), knowledge, WordVectors())
    assert take(articles(freeze=FREEZE + " And more."), knowledge, Slow()).deleted == ["freeze"]
    assert knowledge.documents() == []


def test_what_is_deleted_beside_an_ingest_is_gone(database_url: str, articles: Articles, embedder: WordVectors) -> None:
    database = Database.open(database_url, name=tables.NAME, migrations=tables.MIGRATIONS)
    knowledge = Knowledge(database)
    with ThreadPoolExecutor(1) as beside:
        for number in range(20):
            assert take(articles(a="One."), knowledge, embedder).documents == 1
            written = beside.submit(take, articles(a=f"Two, {number}."), knowledge, embedder)
            assert knowledge.delete(["a"]) == ["a"]
            written.result()
            assert knowledge.documents() == []
            knowledge.lift(["a"])
    database.close()


@pytest.mark.parametrize("prune", [False, True])
def test_a_renamed_file_keeps_its_article(
    prune: bool, articles: Articles, knowledge: Knowledge, embedder: WordVectors
) -> None:
    text = "---\nid: card-limits\ntitle: Limits\n---\nThe limit is 500."
    folder = articles(old=text, other="Other.")
    take(folder, knowledge, embedder)
    read = embedder.read
    done = take(articles(old=None, new=text), knowledge, embedder, prune=prune)
    assert (done.rejected, done.missing, done.removed) == ([], [], 0)
    assert [Path(one).name for one in done.moved] == ["old.md"]
    assert {one.id: Path(one.source).name for one in knowledge.documents()} == {
        "card-limits": "new.md",
        "other": "other.md",
    }
    assert embedder.read == read
    assert take(folder, knowledge, embedder).unchanged == 2


def test_articles_of_a_folder_that_was_moved_are_read_where_they_are(
    tmp_path: Path, articles: Articles, knowledge: Knowledge, embedder: WordVectors
) -> None:
    folder = articles(a="The limit is 500.", b="Two.")
    (folder / "faq.csv").write_text("id,question,answer\n1,How?,So.\n2,Why?,Because.\n", encoding="utf-8")
    take(folder, knowledge, embedder)
    moved = folder.rename(tmp_path / "v2")
    (moved / "a.md").write_text("The limit is 900.", encoding="utf-8")
    (moved / "faq.csv").write_text("id,question,answer\n1,How?,So.\n", encoding="utf-8")
    done = take(moved, knowledge, embedder)
    assert (len(done.moved), done.rejected, done.removed) == (3, [], 1)
    assert {one.id: one.text for one in knowledge.documents()} == {
        "a": "The limit is 900.",
        "b": "Two.",
        "faq#1": "So.",
    }


def test_a_stale_cache_shows_nothing_that_is_gone(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(articles(freeze=FREEZE, fees=FEES), knowledge, embedder)
    finder = Finder(knowledge, embedder, Fusion())
    stale = finder.index()
    knowledge.delete(["freeze"])
    monkeypatch.setattr(finder, "index", lambda: stale)
    assert found(finder, "frozen card") == ["fees"]


def test_whoever_asks_while_an_index_is_made_does_not_wait_and_is_shown_nothing_that_is_gone(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(articles(freeze=FREEZE, fees=FEES), knowledge, embedder)
    finder = Finder(knowledge, embedder, Fusion(), lag_s=60.0)
    assert set(found(finder, "frozen card")) == {"freeze", "fees"}
    held, let_go, made = knowledge.all, threading.Event(), threading.Event()

    def slow(connection: Connection) -> list[Stored]:
        assert let_go.wait(30)
        made.set()
        return held(connection)

    monkeypatch.setattr(knowledge, "all", slow)
    knowledge.delete(["freeze"])
    take(articles(freeze=None, hours="# Hours\n\nWe open at nine."), knowledge, embedder)
    assert found(finder, "frozen card") == ["fees"]
    let_go.set()
    assert made.wait(30)
    end = time.monotonic() + 30
    while "hours" not in found(finder, "when do you open?"):
        assert time.monotonic() < end


def test_who_may_not_be_behind_waits_for_an_index_that_was_begun_after_the_change(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(articles(fees=FEES), knowledge, embedder)
    finder, held, begun, let_go = (
        Finder(knowledge, embedder, Fusion()),
        knowledge.all,
        threading.Event(),
        threading.Event(),
    )

    def slow(connection: Connection) -> list[Stored]:
        stored = held(connection)
        begun.set()
        assert let_go.wait(30)
        return stored

    monkeypatch.setattr(knowledge, "all", slow)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(finder.index)
        assert begun.wait(30)
        take(articles(hours="# Hours\n\nWe open at nine."), knowledge, embedder)
        second = threads.submit(finder.index)
        time.sleep(0.1)  # it has joined the first one's
        let_go.set()
        assert len(first.result().chunks) == 1
        assert len(second.result().chunks) == 2


def test_an_index_that_could_not_be_made_is_tried_again(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(articles(fees=FEES), knowledge, embedder)
    finder = Finder(knowledge, embedder, Fusion())
    with monkeypatch.context() as patch:
        patch.setattr(knowledge, "all", lambda connection: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            finder.index()
    assert len(finder.index().chunks) == 1


def test_files_that_are_gone_are_told_and_pruned_on_request(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors
) -> None:
    folder = articles(freeze=FREEZE, fees=FEES)
    take(folder, knowledge, embedder)
    articles(fees=None)
    assert [Path(one).name for one in take(folder, knowledge, embedder).missing] == ["fees.md"]
    assert knowledge.counts()[0] == 2
    assert take(folder, knowledge, embedder, prune=True).removed == 1
    assert [one.id for one in knowledge.documents()] == ["freeze"]
    assert take(folder, knowledge, embedder).missing == []


def test_a_file_that_cannot_be_opened_is_told_and_the_others_are_read(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = articles(a="One.", b="Two.")
    opened = Path.open

    def refused(self: Path, *options: Any, **named: Any) -> object:
        if self.name == "a.md":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *options, **named)

    monkeypatch.setattr(Path, "open", refused)  # root may open anything
    (told,) = take(folder, knowledge, embedder).rejected
    assert "Permission denied" in told.reason
    assert [one.id for one in knowledge.documents()] == ["b"]


def test_tenants_do_not_see_each_other(database: Database, articles: Articles, embedder: WordVectors) -> None:
    ours, theirs = Knowledge(database, "ours"), Knowledge(database, "theirs")
    folder = articles(freeze=FREEZE)
    take(folder, ours, embedder)
    articles(freeze=None, fees=FEES)
    take(folder, theirs, embedder)
    assert found(Finder(ours, embedder, Fusion()), "fees of a trace") == ["freeze", "freeze"]
    assert found(Finder(theirs, embedder, Fusion()), "frozen card") == ["fees"]
    assert theirs.delete(["freeze"]) == []
    assert ours.counts() == (1, 2)


def test_another_embedder_is_refused_with_the_way_out(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors
) -> None:
    take(articles(freeze=FREEZE), knowledge, embedder)
    with pytest.raises(InputError, match="support-bot reindex"):
        take(articles(), knowledge, WordVectors("other"))


def test_no_vectors_of_another_embedder_get_into_an_index_that_was_swapped_meanwhile(
    articles: Articles, knowledge: Knowledge
) -> None:
    class Swapping(WordVectors):
        def stream(self, texts: Iterable[str], *, side: str = "text") -> Iterator[NDArray[np.float32]]:
            yield from super().stream(texts, side=side)
            if knowledge.counts()[0]:
                knowledge.reindex(WordVectors("other"))

    folder = articles(a="One.", b="Two.", c="Three.")
    with pytest.raises(InputError, match="are other's, not words's; give the command again"):
        take(folder, knowledge, Swapping())
    assert [one.id for one in knowledge.documents()] == ["a"]
    assert take(folder, knowledge, WordVectors("other")).documents == 2


def test_a_document_that_comes_just_before_the_swap_is_in_the_new_index(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(articles(a="One."), knowledge, embedder)
    write, late = knowledge.database.write, articles(b="Two.")

    @contextmanager
    def beside() -> Iterator[Connection]:
        with knowledge.database.read() as connection:
            made = connection.execute(select(tables.vectors.c.chunk).where(tables.vectors.c.generation == 2)).first()
        if made:
            monkeypatch.undo()
            take(late, knowledge, embedder)
        with write() as connection:
            yield connection

    monkeypatch.setattr(knowledge.database, "write", beside)
    assert knowledge.reindex(WordVectors("other")) == 2
    with knowledge.database.read() as connection:
        assert len(knowledge.all(connection)) == 2


def test_an_id_that_two_files_claim_is_told(articles: Articles, knowledge: Knowledge, embedder: WordVectors) -> None:
    folder = articles(a="---\nid: x\n---\nOne.", b="---\nid: x\n---\nTwo.")
    (told,) = take(folder, knowledge, embedder).rejected
    assert "'x'" in told.reason
    assert knowledge.counts()[0] == 1


def test_an_empty_knowledge_finds_nothing(knowledge: Knowledge, embedder: WordVectors) -> None:
    assert Finder(knowledge, embedder, Fusion()).find(Question.of("anything?")).found == []


def test_a_database_of_a_newer_keel_is_left_alone(tmp_path: Path, database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE customer_service_migrations SET version_num = '9999'")
    with pytest.raises(InputError, match="newer Keel"):
        Database.open(f"sqlite:///{tmp_path}/bot.db", name=tables.NAME, migrations=tables.MIGRATIONS)


def test_a_database_url_that_is_none_is_told() -> None:
    with pytest.raises(InputError, match="sqlite:///FILE"):
        Database.open("nothing://here", name="x", migrations=tables.MIGRATIONS)


def test_a_past_question_finds_its_sentence_until_the_article_says_something_else(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors
) -> None:
    take(articles(freeze=FREEZE, fees=FEES), knowledge, embedder)
    rows = [
        Exchange("wallet forgotten at grandma", "freeze", "A frozen card refuses payments."),
        Exchange("moon houses", None, ""),
    ]
    finder = Finder(knowledge, embedder, Fusion(lexical=0.0), Past.of(rows, embedder))
    search = finder.find(Question.of("I left my wallet at grandma"))
    best = search.found[0]
    assert best.passage.chunk.document == "freeze"
    assert best.asked > best.dense
    assert list(search.index.asked_of(best.passage.chunk.id, search.recall, 2) > 0) == [True, False]
    assert finder.find(Question.of("moon houses")).recall.missed() > 0.9
    take(articles(freeze=FREEZE.replace("refuses", "cannot make")), knowledge, embedder)
    after = finder.find(Question.of("I left my wallet at grandma"))
    assert all(one.asked == one.dense for one in after.found)


def test_what_is_remembered_is_stored_and_read_again(tmp_path: Path) -> None:
    past = Past.of([Exchange("如何冻结卡片", "freeze", "点击雪花。"), Exchange("x", None, "")], WordVectors())
    past.save(tmp_path)
    again = Past.load(tmp_path)
    assert again.rows == past.rows
    assert again.vectors is not None
    assert past.vectors is not None
    assert np.array_equal(again.vectors, past.vectors)
    (tmp_path / "past.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="0 questions, 2 vectors"):
        Past.load(tmp_path)


def test_a_past_question_for_one_code_says_nothing_about_another(
    articles: Articles, knowledge: Knowledge, embedder: WordVectors
) -> None:
    take(articles(fees=FEES), knowledge, embedder)
    past = Past.of([Exchange("fee F-99 please", None, ""), Exchange("what please", None, "")], embedder)
    finder = Finder(knowledge, embedder, Fusion(), past)
    assert finder.find(Question.of("fee F-24 please")).recall.unanswered[0] == -1
    assert finder.find(Question.of("fee F 99 please")).recall.missed() > 0.9
