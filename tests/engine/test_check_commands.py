"""`engine check` and `engine drift` on a stored model, as a person or a job calls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from engine import Recipe, Store, cli, load, train
from engine.db import Database
from engine.drift import Watch, drifted
from engine.drift.watch import MIGRATIONS, NAME, seen
from engine.errors import InputError
from engine.feedback import Feedback, FeedbackLog
from engine.service import Champions, Keys, Queue, api

NOON = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
run = CliRunner().invoke


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, toy_base: Path, headlines: list[dict[str, Any]]) -> Path:
    """A home with a toy of two heads, made of English headlines."""
    home = tmp_path_factory.mktemp("checked")
    chosen = [item for item in headlines if item["lang"] == "en"][::15][:240]
    (home / "rows.jsonl").write_text("".join(json.dumps(item) + "\n" for item in chosen))
    heads = {
        "sentiment": {"labels": ["negative", "neutral", "positive"]},
        "topics": {"labels": sorted({topic for item in headlines for topic in item["topics"]}), "multi_label": True},
    }
    fairness = {"max_gap": 0.99, "max_flips": 0.99, "most": 3}
    made = Recipe.parse(
        {
            "name": "toy",
            "base": str(toy_base),
            "task": {"kind": "classify", "heads": heads},
            "data": {"train": str(home / "rows.jsonl"), "columns": {"text": "title"}, "split": {"group": "story"}},
            "tuning": {"epochs": 1, "batch_tokens": 512, "max_length": 48},
            "export": {"format": "none"},
            "gates": {"robustness": {"max_failures": 0.99, "most": 6}, "fairness": fairness},
            "track": [],
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(home))
        train(made)
    return home


@pytest.fixture
def home(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEEL_HOME", str(trained))
    return trained


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database.open(database_url, name=NAME, migrations=MIGRATIONS)
    yield found
    found.close()


def test_check_holds_a_stored_model_to_the_bounds_of_its_recipe(home: Path, tmp_path: Path) -> None:
    page = tmp_path / "checked.html"
    done = run(cli.app, ["check", "toy", "--json", "--html", str(page)])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["held"], told["model"]) == (True, "toy@1")
    assert "test rows" in told["texts"]
    heads = {"sentiment", "topics"}
    assert {one["head"] for one in told["robustness"]} == heads == {one["head"] for one in told["fairness"]}
    assert "neutral sentence" in page.read_text()
    assert "<script" not in page.read_text()


def test_check_says_which_bound_breaks_and_exits_with_1(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"Sales of number {number} will rise, says Omar\n\n" for number in range(2, 32)))
    words = ["check", "toy", "--head", "sentiment", "--texts", str(file), "--set", "gates.fairness.max_gap=0"]
    words += ["--set", "gates.fairness.most=30"]
    broken = run(cli.app, [*words, "--fairness"], env={"COLUMNS": "200"})
    assert broken.exit_code == 1
    assert "Fairness of toy@1 on 30 texts" in broken.output
    assert "Robustness" not in broken.output
    assert "sentiment, gender of the name: a woman's name" in broken.output
    file.write_text("\n \n")
    for wrong, told in ((words, "no text in it"), (["check", "toy", "--head", "tone"], "no head 'tone'")):
        with pytest.raises(InputError, match=told):
            run(cli.app, wrong, catch_exceptions=False)


def test_drift_holds_a_served_version_against_its_own_rows(home: Path, database: Database, database_url: str) -> None:
    reference = home / "drift" / "toy" / "1.json"
    reference.unlink(missing_ok=True)  # this test made it, on the other database
    nothing = drifted("toy", database, until=NOON)
    assert (nothing.texts, nothing.drifted, nothing.told) == (0, False, "nothing seen yet")
    assert not reference.exists()
    predictor, texts = load("toy"), ["股市上涨，银行利润创新高"] * 80
    with Watch(database) as watch:
        for day in range(3):
            watch.seen(predictor.model, predictor.predict(texts), texts, at=NOON - timedelta(days=day))
    log = FeedbackLog(database)
    said = {"sentiment": {"label": "negative", "probability": 0.9}}
    with database.write() as connection:
        log.add(connection, Feedback("t", "toy@1", "s", "a", said, correction={"sentiment": "neutral"}, app="console",
                                     kind="label", rater="r", consent=True, time="2026-03-02T09:00:00Z"))  # fmt: skip
    version = Store().get("toy")
    files = version.sha256(), Store().verify(version)
    found = drifted("toy", database, until=NOON)
    assert (found.model, found.texts, found.drifted) == ("toy@1", 240, True)
    assert found.parts == ("2026-02-28", "2026-03-01", "2026-03-02")
    language = next(one for one in found.measures if one.name == "language")
    assert language.verdict == "large"
    assert len(language.trend) == 3
    (labelled,) = found.labelled
    assert (labelled.head, labelled.rows, labelled.accuracy, labelled.drifted) == ("sentiment", 1, 0, False)
    assert (version.sha256(), Store().verify(version)) == files
    made = reference.stat().st_mtime_ns
    assert drifted("toy", database, until=NOON) == found
    assert reference.stat().st_mtime_ns == made
    words = ["drift", "toy", "--database", database_url, "--since", "2026-02-01"]
    told = json.loads(run(cli.app, [*words, "--json"]).stdout)
    assert (told["drifted"], told["texts"]) == (True, 240)
    assert "language (large" in run(cli.app, words, env={"COLUMNS": "200"}).output


def test_what_is_asked_over_http_is_counted(home: Path, database: Database) -> None:
    champions, queue = Champions(), Queue(1)
    with Watch(database) as watch:
        app = api.application(database, champions, queue=queue, per_minute=1000, watch=watch)
        headers = {"Authorization": f"Bearer {Keys(database).add('asker', 'server')}"}
        with TestClient(app, headers=headers) as http:
            assert http.post("/v1/predict/toy", json={"texts": ["Sales rose", "银行亏损"]}).status_code == 200
            assert http.post("/v1/predict/toy", json={"text": "Sales fell", "head": "topics"}).status_code == 200
    queue.close()
    now = datetime.now(UTC)
    (found,) = seen(database, "toy@1", now - timedelta(hours=1), now, letters=4).values()
    assert found.texts == 3
    assert found.bins("language") == {"en": 2, "zh": 1}
    assert sum(found.bins("sentiment: label").values()) == 3


def test_drift_of_a_file_of_the_models_own_texts_is_none(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("".join(json.loads(line)["title"] + "\n" for line in (home / "rows.jsonl").read_text().splitlines()))
    asked = json.loads(run(cli.app, ["drift", "toy", "--texts", str(own), "--json"]).stdout)
    assert {"language", "length", "sentiment: label"} <= {one["name"] for one in asked["measures"]}
    assert not asked["drifted"], asked["told"]
    for words, told in ((["--since", "soon"], "write a span"), (["--embedding"], "--embedding is for --texts")):
        with pytest.raises(InputError, match=told):
            run(cli.app, ["drift", "toy", *words], catch_exceptions=False)
