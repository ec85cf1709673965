"""Feedback makes a challenger of the champion, and only a better one takes its place."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine import Prediction, Recipe, Store, Watch, load, retrain, schedule, successor, train
from engine.challenger import NothingNew, replay
from engine.cli import app
from engine.data.rows import Row
from engine.decision import Decision, Taught, decisions, find
from engine.errors import InputError, KeelError
from engine.feedback import Feedback, FeedbackLog, opened
from engine.retraining import locked
from engine.schedule import Found
from engine.store import Version
from engine.tasks.labels import Answer

Item = dict[str, Any]
LENIENT = ["gates.ask=[better, forgetting]", "gates.margin=0.9", "gates.forgetting=0.9"]
"""A toy of width 32 learns little: what is tested is the road, not what it makes of the rows."""
TEXTS = ["Profit fell", "Sales rose 12%"]


@pytest.fixture(scope="session")
def english(headlines: list[Item]) -> list[Item]:
    return [item for item in headlines if item["lang"] == "en"][::7]


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory, toy_base: Path, english: list[Item]) -> Path:
    """A home whose store has a toy champion of one head."""
    home = tmp_path_factory.mktemp("retrain")
    file = home / "base.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in english[:150]), encoding="utf-8")
    recipe = Recipe.parse(
        {
            "name": "toy",
            "base": str(toy_base),
            "task": {"kind": "classify", "heads": {"sentiment": {"labels": ["negative", "neutral", "positive"]}}},
            "data": {"train": str(file), "columns": {"text": "title"}, "on_leak": "drop"},
            "tuning": {"epochs": 1, "batch_tokens": 512, "max_length": 48},
            "export": {"format": "none"},
            "retrain": {"epochs": 1, "replay": 15, "neighbours": "letters"},
            "track": [],
        }
    )
    train(recipe, store=Store(home / "models"))
    return home


@pytest.fixture
def champion(stocked: Path, home: Path) -> Version:
    shutil.copytree(stocked, home)
    return Store().get("toy")


@pytest.fixture
def log(database_url: str) -> Iterator[FeedbackLog]:
    found = opened(database_url)
    yield found
    found.database.close()


def say(log: FeedbackLog, items: Sequence[Item], label: str | None = None) -> list[str]:
    """Three who label for training speak of each headline; the ids."""
    found = [
        Feedback(
            "t", "toy@1", item["id"], item["title"], {}, correction={"sentiment": label or item["sentiment"]},
            app="console", kind="label", rater=rater, consent=True, id=f"{item['id']}-{rater}",
        )
        for item in items
        for rater in ("ann", "bob", "cat")
    ]  # fmt: skip
    with log.database.write() as connection:
        for one in found:
            log.add(connection, one)
    return [one.id for one in found]


def answers(reference: str = "toy") -> Any:
    return load(reference).probabilities(TEXTS)["sentiment"].tolist()


def test_a_new_label_is_learnt_then_more_rows_and_each_step_goes_back(
    champion: Version, log: FeedbackLog, english: list[Item], home: Path
) -> None:
    before = answers()
    say(log, english[200:205], label="mixed")
    with pytest.raises(NothingNew, match="a new label needs 10 rows"):
        retrain("toy", log)
    assert not (home / "decisions" / "toy" / ".unfinished").exists()

    mixed = [f"{item['id']}-{rater}" for item in english[200:215] for rater in ("ann", "bob", "cat")]
    say(log, english[205:215], label="mixed")
    first = retrain("toy", log, settings=LENIENT)
    assert first.promoted
    assert (first.champion, first.challenger) == ("toy@1", "toy@2")
    assert first.feedback.new_labels == ("mixed",)
    assert sorted(first.feedback.learnt + first.feedback.held) == sorted(mixed)
    assert len(first.feedback.held) == 3 * 3  # a fifth of fifteen rows
    assert len(answers()[0]) == 4

    more = say(log, english[230:240])
    second = retrain("toy", log, settings=LENIENT)
    assert second.champion == "toy@2"
    assert second.feedback.new_labels == ()
    assert set(second.feedback.learnt) == set(more)  # what toy@2 has learnt is not new again
    assert second.feedback.held == first.feedback.held
    manifest = Store().get("toy@3").manifest()
    assert manifest["parents"] == ["toy@2"]
    assert manifest["retrain"]["root"] == "toy@1"
    assert decisions("toy") == [first, second] == [find("toy", first.id), find("toy", "last")]
    assert sorted(path.name for path in second.report.parent.iterdir()) == ["report.json", "report.md"]
    with pytest.raises(NothingNew, match="rows are learnt already"):
        retrain("toy", log)
    assert [str(successor(name)) for name in ("toy@1", "toy@2", "toy@3")] == ["toy@3"] * 3
    Store().rollback("toy")
    Store().rollback("toy")
    assert answers() == before
    assert [str(successor(name)) for name in ("toy@1", "toy@2")] == ["toy@1", "toy@2"]
    assert [fault for one in Store().versions("toy") for fault in Store().verify(one)] == []


def test_what_is_not_better_is_refused_and_nothing_changes(
    champion: Version, log: FeedbackLog, english: list[Item]
) -> None:
    say(log, english[200:230], label="negative")
    decision = retrain("toy", log)
    assert not decision.promoted
    assert Store().get("toy") == champion
    assert {gate.name for gate in decision.gates} == {
        "better", "forgetting", "slices", "calibration", "robustness", "fairness", "latency", "size",
    }  # fmt: skip
    told = decision.report.read_text(encoding="utf-8")
    assert told.startswith("# toy: refused\n\ntoy@2 is refused and toy@1 stays: better (macro_f1 of sentiment: ")
    assert "`engine models promote toy@2`" in told
    assert not any(item["title"] in told for item in english)


STEPS = ("plan.json", ".unfinished-", "report.json", "aliases.json", ".unfinished")
"""A process dies before it renames each of these: the plan, the version, the decision, the champion, the end."""


def test_killed_at_every_step_it_goes_on_and_does_nothing_twice(
    champion: Version, log: FeedbackLog, english: list[Item], home: Path
) -> None:
    say(log, english[200:215])
    before = answers()
    for number, step in enumerate(STEPS):
        assert died_before(step, home, str(log.database.engine.url))
        store = Store()
        assert store.get("toy").number == (1 if number < 4 else 2)
        assert answers("toy@1") == before
        assert [fault for version in store.versions("toy") for fault in store.verify(version)] == []
    decision = retrain("toy", log)
    assert decisions("toy") == [decision]
    assert [version.number for version in Store().versions("toy")] == [1, 2]
    assert [change.number for change in Store().changes("toy")] == [1, 2]


def died_before(name: str, home: Path, database: str) -> bool:
    """Retrain in a process that kills itself before it renames a file or folder of Keel's home of this name.

    It is forked from a process without threads: torch's hold locks that a fork of this one would wait for for good.
    """
    clean = multiprocessing.get_context("forkserver")
    clean.set_forkserver_preload(["engine.retraining", "engine.predictor", "engine.tasks.headed"])
    process = clean.Process(target=_dies_before, args=(name, home, database))
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


def _dies_before(name: str, home: Path, database: str) -> None:
    def dies(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename" and str(arguments[0]).startswith(str(home)):
            source, target = Path(arguments[0]).name, Path(arguments[1]).name
            if target == name or source == name or (name.endswith("-") and source.startswith(name)):
                os.kill(os.getpid(), signal.SIGKILL)

    os.environ["KEEL_HOME"] = str(home)
    sys.addaudithook(dies)
    retrain("toy", opened(database), settings=LENIENT)


def test_what_was_promoted_before_a_kill_and_taken_back_by_a_person_stays_back(
    champion: Version, log: FeedbackLog, home: Path
) -> None:
    store = Store()
    with store.staging("toy") as staged:
        shutil.copytree(champion.folder, staged, dirs_exist_ok=True)
        (staged / "manifest.json").unlink()
        store.promote(store.commit("toy", staged, champion.manifest()))
    store.rollback("toy")
    work = home / "decisions" / "toy" / ".unfinished"
    work.mkdir(parents=True)
    taught = Taught(0, (), (), 0, 0, (), "")
    left = Decision("1-a", "toy", "2026-01-01T00:00:00+00:00", "toy@1", "toy@2", True, (), taught, ())
    left.write(work)
    assert retrain("toy", log) == left
    assert store.get("toy") == champion
    assert decisions("toy") == [left]


def test_one_retrain_of_a_name_at_a_time(champion: Version, log: FeedbackLog) -> None:
    with locked("toy"), pytest.raises(KeelError, match=f"toy: is being retrained by process {os.getpid()} since"):
        retrain("toy", log)


@pytest.mark.parametrize(("name", "said"), [("toy@1", "give the name alone: toy"), ("other", "no such model")])
def test_only_a_champion_is_retrained(champion: Version, log: FeedbackLog, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        retrain(name, log)


def test_the_command_says_what_it_would_do_and_whether_it_is_due(
    champion: Version, log: FeedbackLog, english: list[Item], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    def said(*words: str) -> Any:
        done = CliRunner().invoke(app, ["retrain", "toy", "--json", *words], catch_exceptions=False)
        assert done.exit_code == 0
        return json.loads(done.stdout)

    say(log, english[200:212])
    monkeypatch.setenv("KEEL_DATABASE", str(log.database.engine.url))
    found = said("--dry-run")
    assert (found["feedback"]["rows"], found["feedback"]["read"], found["aside"]) == (12, 36, [])
    assert not (home / "models" / "toy" / "golden.json").exists()
    with log.database.write() as connection:
        log.erase(connection, "t", [english[200]["id"]])
    found = said("--dry-run")
    assert (found["feedback"]["rows"], found["feedback"]["read"]) == (11, 33)
    found = said("--when", "13 new rows or 2 days")
    assert (found["due"], found["why"]) == (False, "11 of 13 new rows; 0.0 of 2 days")
    with pytest.raises(InputError, match="--every: says how often to look; say what for with --when"):
        CliRunner().invoke(app, ["retrain", "toy", "--every", "5"], catch_exceptions=False)
    told = CliRunner().invoke(app, ["models", "decisions", "toy"]).stdout
    assert "nothing decided on toy yet" in told


def test_drift_alone_does_not_teach_the_same_feedback_again(
    champion: Version, log: FeedbackLog, english: list[Item]
) -> None:
    def due(words: str = "drift") -> Found:
        return schedule.due(schedule.parse(words), champion, log)

    assert due() == Found(False, "nothing seen yet")
    sure = Answer(("negative",), {"negative": 0.99, "neutral": 0.005, "positive": 0.005})
    with Watch(log.database) as watch:
        watch.seen("toy@1", [Prediction({"sentiment": sure}, "toy@1", "onnx")] * 300, [4000] * 300)
    assert not due().held
    assert due().told.startswith("drift: length (large")
    assert due().told.endswith(", but nothing new to learn from")

    said = say(log, english[200:212])
    assert due().held
    taught = Taught(len(said), tuple(said), (), 12, 0, (), "")
    Decision("1", "toy", datetime.now(UTC).isoformat(), "toy@1", "toy@2", False, (), taught, ()).keep()
    assert not due().held
    assert not due("12 new rows or drift").held
    say(log, english[212:213])
    assert due().held


def test_what_feedback_cannot_teach_names_the_command_that_does(log: FeedbackLog) -> None:
    store = Store()
    with store.staging("bot") as staged:
        store.promote(store.commit("bot", staged, {"components": ["support-intents@2"]}))
    with pytest.raises(InputError, match=r"a bundle of support-intents@2.*: recommender retrain"):
        retrain("bot", log)
    recipe = Recipe.parse({"name": "order", "task": {"kind": "rank"}, "data": {"train": "rows.jsonl"}})
    with store.staging("order") as staged:
        (staged / "recipe.yaml").write_text(recipe.yaml(), encoding="utf-8")
        store.promote(store.commit("order", staged, {}))
    with pytest.raises(InputError, match=r"task rank does not learn from votes and.*: recommender retrain"):
        retrain("order", log)


def test_replay_takes_so_many_rows_of_each_label_of_each_head() -> None:
    rows = [Row(f"{n}", {"one": "ab"[n % 2], "more": ("x",) if n % 5 else ("x", "y")}, None, "") for n in range(60)]
    chosen = replay(rows, 4, seed=1)
    assert chosen == replay(rows, 4, seed=1)
    for head, label in (("one", "a"), ("one", "b"), ("more", "x"), ("more", "y")):
        assert sum(label in row.labels[head] for row in chosen) >= 4
    assert len(chosen) <= 16
